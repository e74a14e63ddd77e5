//! An error with everything that caused it, in one line for people.

use std::error::Error;

/// The error and its causes, each said once: many errors pass on the words of what caused them.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::io;

    use super::*;

    #[derive(Debug)]
    struct Told(&'static str, io::Error);

    impl fmt::Display for Told {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Told {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.1)
        }
    }

    #[test]
    fn what_was_said_already_is_not_said_again() {
        let cause = || io::Error::other("the disk is gone");
        assert_eq!(error_chain(&Told("read x", cause())), "read x: the disk is gone");
        let twice = Told("read x: the disk is gone", cause());
        assert_eq!(error_chain(&twice), "read x: the disk is gone");
    }
}
