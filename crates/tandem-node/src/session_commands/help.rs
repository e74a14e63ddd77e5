//! Answers to `... HELP`.

use super::Visit;

/// Writes the help of `command` as Redis does: a head, the lines, `HELP` itself.
pub(super) fn write(visit: &mut Visit<'_>, command: &str, lines: &[&str]) {
    let mut reply = visit.reply();
    reply.array(lines.len() + 3);
    reply.simple(&format!("{command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for line in lines {
        reply.simple(line);
    }
    reply.simple("HELP");
    reply.simple("    Print this help.");
}
