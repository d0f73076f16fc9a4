//! The data sets that people put into the store: who may put which under what name, and how much.

use crate::spec::Dataset;

/// A name is part of a file's name, with its checksum and ending.
const NAME_BYTES_MAX: usize = 100;
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;
/// Data sets of one person, those that arrive included: each has a row, a file, and a line in what everybody lists.
const COUNT_MAX: u64 = 50;
/// And of all: workers tell of each, and each pass of the scheduler reads that.
const ALL_MAX: u64 = 300;
/// What is left free in the store: checkpoints are written there, and a job must not end because of somebody's images.
const LEFT_FREE: u64 = 2 << 30;

/// One that somebody wants to put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// As in `folder:NAME`.
    pub name: String,
    /// Of the packed file, in lower case.
    pub sha256: String,
    /// Of the packed file.
    pub bytes: u64,
}

/// One that is known by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub owner: String,
    pub sha256: String,
    pub bytes: u64,
    /// False while it arrives.
    pub is_stored: bool,
}

/// What there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of this person's other data sets, those that arrive included.
    pub used: u64,
    /// How many these are.
    pub count: u64,
    /// How many data sets of other names there are of all people.
    pub all: u64,
    /// Of each person.
    pub limit: u64,
    /// On the disk of the store.
    pub free: u64,
}

/// What follows from a wish to put a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is there, with the same content.
    There,
    /// It arrives from its beginning.
    Begin,
    /// It goes on with what has arrived.
    GoOn,
    /// Another under that name was begun by the same person, and gives way.
    BeginAnew,
}

/// Why not; the text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Taken(String),
    #[error("{0}")]
    Full(String),
}

impl Wanted {
    /// Checks what a request says.
    pub fn check(&self) -> Result<(), Refusal> {
        check_name(&self.name).map_err(Refusal::Invalid)?;
        let is_digest = self.sha256.len() == DIGITS
            && self.sha256.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
        if !is_digest {
            let why = format!("`{}` is no SHA-256: expected {DIGITS} digits 0-9 and a-f", self.sha256);
            return Err(Refusal::Invalid(why));
        }
        if self.bytes == 0 {
            return Err(Refusal::Invalid(format!("the data set `{}` is empty", self.name)));
        }
        Ok(())
    }
}

/// Whether `folder:NAME` can be the name of a data set.
pub fn check_name(name: &str) -> Result<(), String> {
    if Dataset::OFFICIAL.contains(&name) {
        return Err(format!("`{name}` has its own name without `folder:`; choose another"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("the name has {} characters; expected at most {NAME_BYTES_MAX}", name.len()));
    }
    if name.starts_with('-') || Dataset::try_from(format!("folder:{name}")).is_err() {
        return Err(format!(
            "`{name}` is no name of a data set: expected letters a-z and A-Z, digits, `-`, `_` and `.`, and no `.` or `-` in front"
        ));
    }
    Ok(())
}

/// Whether `who` may take the name of an image folder that `workers` have in their own data folders, which nobody would see any
/// more.
pub fn check_shadow(name: &str, is_admin: bool, workers: &[String]) -> Result<(), Refusal> {
    let Some(first) = workers.first().filter(|_| !is_admin) else { return Ok(()) };
    let others = if workers.len() > 1 { format!(" and {} more", workers.len() - 1) } else { String::new() };
    Err(Refusal::Taken(format!(
        "{first}{others} has an image folder `{name}` of its own, which yours would hide from everybody; choose another name          (an admin may put it)"
    )))
}

/// What becomes of `who`'s wish to put `wanted`, where `known` has that name.
pub fn claim(wanted: &Wanted, who: &str, known: Option<&Known>, room: Room) -> Result<Claim, Refusal> {
    let name = &wanted.name;
    let claim = match known {
        None => Claim::Begin,
        Some(known) if known.is_stored && known.sha256 == wanted.sha256 => return Ok(Claim::There),
        Some(Known { owner, .. }) if owner != who => {
            return Err(Refusal::Taken(format!("`folder:{name}` is a data set of {owner}; choose another name")));
        }
        Some(known) if known.is_stored => {
            return Err(Refusal::Taken(format!(
                "you have put other images under `folder:{name}`; choose another name, or remove those first: tandem data \
                 remove {name}"
            )));
        }
        Some(known) if known.sha256 == wanted.sha256 => Claim::GoOn,
        Some(_) => Claim::BeginAnew,
    };
    if room.count >= COUNT_MAX {
        return Err(Refusal::Full(format!(
            "you have {} other data sets here, of {COUNT_MAX} that each person may keep; remove one: tandem data remove NAME",
            room.count
        )));
    }
    if room.all >= ALL_MAX {
        return Err(Refusal::Full(format!(
            "there are {} data sets in the store, of {ALL_MAX} at most; an admin has to remove some (tandem data list)",
            room.all
        )));
    }
    if room.used.saturating_add(wanted.bytes) > room.limit {
        return Err(Refusal::Full(format!(
            "`folder:{name}` has {}, and your other data sets {}, of {} that each person may keep here; remove one (tandem data \
             remove NAME), or ask an admin for more (tandem-server --data-limit)",
            size(wanted.bytes),
            size(room.used),
            size(room.limit)
        )));
    }
    if room.free < wanted.bytes.saturating_add(LEFT_FREE) {
        return Err(Refusal::Full(format!(
            "`folder:{name}` has {}, and the disk of the store {} free, of which {} are left to jobs; an admin has to make room",
            size(wanted.bytes),
            size(room.free),
            size(LEFT_FREE)
        )));
    }
    Ok(claim)
}

/// `512 B`, `1.5 KiB`, `2.0 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Reads `20GB`, `1.5 TiB`, `500000`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024f64.powi(2),
        "gib" => 1024f64.powi(3),
        "tib" => 1024f64.powi(4),
        _ => return Err(format!("`{text}`: expected a size such as 500MB, 20GB or 1.5TiB")),
    };
    let number: f64 = number.parse().map_err(|_| format!("`{text}`: expected a size such as 500MB, 20GB or 1.5TiB"))?;
    Ok((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(sha256: &str, bytes: u64) -> Wanted {
        Wanted { name: "cats".into(), sha256: sha256.repeat(DIGITS), bytes }
    }

    fn known(owner: &str, sha256: &str, is_stored: bool) -> Known {
        Known { owner: owner.into(), sha256: sha256.repeat(DIGITS), bytes: 100, is_stored }
    }

    const ROOM: Room = Room { used: 0, count: 0, all: 0, limit: 1000, free: u64::MAX };

    #[test]
    fn a_name_belongs_to_who_came_first_and_its_images_stay() {
        let of = |known: Option<Known>| claim(&wanted("a", 100), "ann", known.as_ref(), ROOM);
        assert_eq!(of(None), Ok(Claim::Begin));
        assert_eq!(of(Some(known("ann", "a", false))), Ok(Claim::GoOn));
        assert_eq!(of(Some(known("ann", "b", false))), Ok(Claim::BeginAnew));
        assert_eq!(of(Some(known("bob", "a", true))), Ok(Claim::There), "the same images, whoever put them");
        let taken = |known| match of(Some(known)) {
            Err(Refusal::Taken(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(taken(known("ann", "b", true)).contains("tandem data remove cats"));
        assert!(taken(known("bob", "b", true)).contains("a data set of bob"));
        assert!(
            taken(known("bob", "a", false)).contains("a data set of bob"),
            "what arrives is not gone on with by others"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_with_all_sizes() {
        let full = |bytes, room| match claim(&wanted("a", bytes), "ann", None, room) {
            Err(Refusal::Full(why)) => why,
            other => panic!("{other:?}"),
        };
        let why = full(901, Room { used: 100, ..ROOM });
        assert!(why.contains("901 B") && why.contains("100 B") && why.contains("1000 B"), "{why}");
        assert_eq!(claim(&wanted("a", 900), "ann", None, Room { used: 100, ..ROOM }), Ok(Claim::Begin));
        let why = full(100, Room { free: LEFT_FREE + 99, ..ROOM });
        assert!(why.contains("2.0 GiB free"), "{why}");
        assert!(full(1, Room { count: COUNT_MAX, ..ROOM }).contains("50 other data sets"));
        assert!(full(1, Room { all: ALL_MAX, ..ROOM }).contains("300 data sets in the store"));
        assert!(full(u64::MAX, ROOM).contains("of 1000 B"), "no sum overflows");
    }

    #[test]
    fn what_workers_have_of_their_own_is_hidden_by_admins_alone() {
        let workers = ["gpu-0".to_owned(), "gpu-1".to_owned()];
        assert_eq!(check_shadow("cats", false, &[]), Ok(()));
        assert_eq!(check_shadow("cats", true, &workers), Ok(()));
        let why = check_shadow("cats", false, &workers).unwrap_err().to_string();
        assert!(why.contains("gpu-0 and 1 more has an image folder `cats`"), "{why}");
    }

    #[test]
    fn what_a_request_says_is_checked() {
        assert_eq!(wanted("a", 1).check(), Ok(()));
        for wrong in [
            Wanted { name: "../x".into(), ..wanted("a", 1) },
            Wanted { name: "x".repeat(101), ..wanted("a", 1) },
            Wanted { name: "cifar10".into(), ..wanted("a", 1) },
            Wanted { name: String::new(), ..wanted("a", 1) },
            wanted("A", 1),
            wanted("ab", 1),
            wanted("a", 0),
        ] {
            assert!(matches!(wrong.check(), Err(Refusal::Invalid(_))), "{wrong:?}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [("0", 0), ("512", 512), ("1.5 KiB", 1536), ("20GB", 20_000_000_000), ("1tib", 1 << 40)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "GB", "20 stones", "1.2.3GB", "-1"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
        assert_eq!([512, 1536, 2 << 30].map(size), ["512 B", "1.5 KiB", "2.0 GiB"]);
    }
}
