//! What makes a worker fit for jobs: a version that fits, and the same store.

/// Version of the messages between workers and coordinators: raised when one that does not know the new ones cannot do
/// its part. A worker that gives none is older than this number.
pub const PROTOCOL: u32 = 1;

/// In the store's folder, the file with the folder's id.
pub const STORE_ID_FILE: &str = ".tandem-store";
/// There, the folder where workers show that they can write.
pub const STORE_PROBES: &str = ".tandem-probes";

/// What must agree between a worker and its coordinator, and the version of the program, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    pub protocol: u32,
    /// [`LEARN_VERSION`](crate::LEARN_VERSION).
    pub learn: String,
    pub program: String,
}

impl Versions {
    /// Those of this program, whose version is `program`.
    pub fn ours(program: &str) -> Self {
        Self { protocol: PROTOCOL, learn: crate::LEARN_VERSION.to_owned(), program: program.to_owned() }
    }

    /// Why a worker of `theirs` gets no jobs from this coordinator; `None` if it may.
    pub fn refuse(&self, theirs: &Self) -> Option<String> {
        let older = if theirs.protocol < self.protocol { "worker" } else { "coordinator" };
        let what = if theirs.protocol != self.protocol {
            format!("speaks protocol {}, and this coordinator ({}) {}", theirs.protocol, self.program, self.protocol)
        } else if theirs.learn != self.learn {
            format!(
                "trains by version {} of the mathematics, and this coordinator ({}) keeps results of version {}",
                theirs.learn, self.program, self.learn
            )
        } else {
            return None;
        };
        let update = match theirs.protocol == self.protocol {
            true => "install the same version of both".to_owned(),
            false => format!("update the {older}"),
        };
        Some(format!("its program ({}) {what}; {update}", theirs.program))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_do_not_fit_are_told_which_one_to_update() {
        let ours = Versions { protocol: 2, learn: "3".into(), program: "0.2.0".into() };
        assert_eq!(ours.refuse(&Versions { program: "0.2.1".into(), ..ours.clone() }), None);
        let older = Versions { protocol: 0, learn: String::new(), program: "0.1.0".into() };
        assert_eq!(
            ours.refuse(&older).unwrap(),
            "its program (0.1.0) speaks protocol 0, and this coordinator (0.2.0) 2; update the worker"
        );
        assert!(ours.refuse(&Versions { protocol: 3, ..ours.clone() }).unwrap().ends_with("update the coordinator"));
        let other = ours.refuse(&Versions { learn: "2".into(), ..ours.clone() }).unwrap();
        assert!(other.contains("version 2 of the mathematics") && other.contains("version 3"), "{other}");
    }
}
