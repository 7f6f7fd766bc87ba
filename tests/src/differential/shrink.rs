//! The smallest script that still fails.

/// Drops commands from `commands` as long as `fails` says that what is left fails: halves
/// first, single commands last. `tries` bounds how often `fails` is asked.
pub fn shrink(
    commands: Vec<String>,
    mut tries: usize,
    mut fails: impl FnMut(&[String]) -> bool,
) -> Vec<String> {
    let mut left = commands;
    let mut piece = left.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        let mut dropped = false;
        while at < left.len() && tries > 0 {
            let end = (at + piece).min(left.len());
            let candidate: Vec<String> = [&left[..at], &left[end..]].concat();
            tries -= 1;
            if fails(&candidate) {
                left = candidate;
                dropped = true;
            } else {
                at = end;
            }
        }
        if !dropped || piece > 1 {
            piece /= 2;
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_commands_that_matter_stay() {
        let commands: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        let needed = ["7", "8", "41"];
        let small = shrink(commands.clone(), 1000, |left| {
            needed.iter().all(|word| left.iter().any(|command| command == word))
        });
        assert_eq!(small, needed);
        assert_eq!(shrink(commands.clone(), 0, |_| true), commands);
    }
}
