use std::fmt;
use std::path::Path;

/// A password. It prints as nothing: whoever needs it asks for it by [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes a secret into care.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Reads a secret from a file that holds nothing else.
    ///
    /// # Errors
    /// What is wrong with the file, as the end of a sentence about it.
    pub fn read(file: &Path) -> Result<Self, String> {
        super::outside::read_secret(file).map(Self::new)
    }

    /// The secret itself, for the one who logs in with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
    }
}
