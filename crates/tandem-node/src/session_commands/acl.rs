//! `ACL`: there is one user, who may do everything.

use tandem_resp::Args;
use tandem_store::Categories;

use super::{Visit, help};

pub(super) const SUBCOMMANDS: &[&str] =
    &["acl|cat", "acl|getuser", "acl|help", "acl|list", "acl|users", "acl|whoami"];

pub(super) fn acl(visit: &mut Visit<'_>, args: &Args<'_>) {
    match (&*args.get(1).to_ascii_lowercase(), args.len()) {
        (b"whoami", 2) => visit.reply().bulk(b"default"),
        (b"users", 2) => {
            let mut reply = visit.reply();
            reply.array(1);
            reply.bulk(b"default");
        }
        (b"list", 2) => {
            let secret = visit.core.settings.password.is_some();
            let mut reply = visit.reply();
            reply.array(1);
            reply.bulk(if secret {
                b"user default on #(hidden) ~* &* +@all"
            } else {
                b"user default on nopass ~* &* +@all"
            });
        }
        (b"cat", 2) => {
            let names: Vec<_> = all_categories().names().collect();
            let mut reply = visit.reply();
            reply.array(names.len());
            for name in names {
                reply.bulk(name.as_bytes());
            }
        }
        (b"cat", 3) => category(visit, args.get(2)),
        (b"help", 2) => help::write(visit, "ACL", HELP),
        (
            b"setuser" | b"deluser" | b"getuser" | b"load" | b"save" | b"log" | b"genpass"
            | b"dryrun",
            _,
        ) => {
            visit.reply().error(
                "ERR access control lists are not offered: there is one user, default, with the \
                 password of auth.password_file",
            );
        }
        _ => visit.unknown_subcommand(args),
    }
}

fn all_categories() -> Categories {
    tandem_store::commands()
        .fold(Categories::NONE, |all, command| all.and(command.all_categories()))
}

fn category(visit: &mut Visit<'_>, name: &[u8]) {
    let Some(wanted) = Categories::by_name(name) else {
        let name = String::from_utf8_lossy(name).into_owned();
        return visit.reply().error_fmt(format_args!("ERR Unknown category '{name}'"));
    };
    let names: Vec<_> = tandem_store::commands()
        .filter(|command| command.all_categories().has(wanted))
        .map(|command| command.name)
        .collect();
    let mut reply = visit.reply();
    reply.array(names.len());
    for name in names {
        reply.bulk(name.as_bytes());
    }
}

const HELP: &[&str] = &[
    "CAT [<category>]",
    "    List all commands that belong to <category>, or all command categories.",
    "LIST",
    "    Show users details in config file format.",
    "USERS",
    "    List all the registered usernames.",
    "WHOAMI",
    "    Return the current connection username.",
];
