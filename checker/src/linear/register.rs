//! A versioned register: what a single state key does, one operation after another.
//! Knows nothing of time.

/// What an operation did, as far as its outcome tells. A version that is none was not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It saw this value; none: absent.
    Read {
        /// A number for the value.
        value: Option<u32>,
        /// The version that was seen.
        version: Option<u64>,
    },
    /// It wrote.
    Write {
        /// A number for the value.
        value: u32,
        /// The version that was made.
        version: Option<u64>,
    },
    /// It wrote on this version.
    CompareAndSet {
        /// 0: absent.
        expected: u64,
        /// A number for the value.
        value: u32,
        /// The version that was made.
        version: Option<u64>,
    },
    /// It deleted what was there.
    Delete {
        /// The version that was made.
        version: Option<u64>,
    },
    /// A compare-and-set was refused: the key had another version than this.
    Refused {
        /// 0: absent.
        version: u64,
    },
    /// A deletion was refused: the key was absent.
    Absent,
}

impl Action {
    /// It leaves the register as it is.
    pub fn changes_nothing(self) -> bool {
        matches!(self, Action::Read { .. } | Action::Refused { .. } | Action::Absent)
    }

    /// A version and the value that it is told to have; none: deleted.
    pub fn told(self) -> Option<(u64, Option<u32>)> {
        match self {
            Action::Read { value: Some(value), version }
            | Action::Write { value, version }
            | Action::CompareAndSet { value, version, .. } => Some((version?, Some(value))),
            Action::Delete { version } => Some((version?, None)),
            Action::Read { value: None, .. } | Action::Refused { .. } | Action::Absent => None,
        }
    }

    /// The value that it saw.
    pub fn shown(self) -> Option<u32> {
        match self {
            Action::Read { value, .. } => value,
            Action::Write { .. }
            | Action::CompareAndSet { .. }
            | Action::Delete { .. }
            | Action::Refused { .. }
            | Action::Absent => None,
        }
    }
}

/// The state of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Register {
    /// Changes so far.
    pub version: u64,
    /// What it holds; none: absent.
    pub value: Option<u32>,
}

impl Register {
    /// The register after an operation; none: a register in this state does not act like that.
    pub fn after(self, action: Action) -> Option<Register> {
        let is_told = |version: Option<u64>, is: u64| version.is_none_or(|told| told == is);
        match action {
            Action::Read { value, version } => {
                (value == self.value && is_told(version, self.current())).then_some(self)
            }
            Action::Refused { version } => (version != self.current()).then_some(self),
            Action::Absent => self.value.is_none().then_some(self),
            Action::Write { value, version } => self.change(Some(value), version),
            Action::CompareAndSet { expected, value, version } => {
                self.change(Some(value), version).filter(|_| expected == self.current())
            }
            Action::Delete { version } => self.change(None, version).filter(|_| self.value.is_some()),
        }
    }

    fn change(self, value: Option<u32>, version: Option<u64>) -> Option<Register> {
        let made = self.version + 1;
        version.is_none_or(|told| told == made).then_some(Register { version: made, value })
    }

    /// The version that conditions mean.
    fn current(self) -> u64 {
        if self.value.is_some() { self.version } else { 0 }
    }
}
