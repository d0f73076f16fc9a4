//! Colours of lines and of states.

use plotters::style::RGBColor;

/// Okabe and Ito's palette: told apart by colour-blind eyes, too. The last is that of the text.
pub(crate) const COLOURS: [(u8, u8, u8); 7] =
    [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), TEXT];

pub(crate) const WHITE: (u8, u8, u8) = (255, 255, 255);
/// Text and what is as strong.
pub(crate) const TEXT: (u8, u8, u8) = (60, 60, 60);
pub(crate) const AXIS: (u8, u8, u8) = (90, 90, 90);
pub(crate) const GRID: (u8, u8, u8) = (225, 225, 225);
pub(crate) const FRAME: (u8, u8, u8) = (200, 200, 200);

/// `#0072B2`, as plotters writes it.
pub(crate) fn hex((red, green, blue): (u8, u8, u8)) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

pub(crate) fn rgb((red, green, blue): (u8, u8, u8)) -> RGBColor {
    RGBColor(red, green, blue)
}
