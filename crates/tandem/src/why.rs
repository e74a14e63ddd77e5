//! `tandem why`: what is waited for, who can supply it, what forcing would cost.

use std::process::ExitCode;

use tandem_admin::WhyView;

use crate::admin_client::AdminClient;
use crate::cli::{AdminOptions, OutputOptions};
use crate::human;
use crate::out;

pub(crate) fn run(admin: &AdminOptions, options: &OutputOptions) -> anyhow::Result<ExitCode> {
    let value = AdminClient::new(admin)?.get("/api/v1/why")?;
    if options.json {
        out::line(serde_json::to_string_pretty(&value)?)?;
    } else {
        out::line(render(&serde_json::from_value(value)?))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(why: &WhyView) -> String {
    let mut lines = vec![format!("{} ({}): {}", why.node, why.role, why.summary)];
    for wait in &why.waiting {
        let left = wait.left_ms.map_or(String::new(), |millis| match millis {
            ..10_000 => format!(", {millis} ms left"),
            _ => format!(", {} left", human::span(millis / 1_000)),
        });
        lines.push(format!("  waits for: {}; from {}{left}", wait.fact, wait.supplied_by));
    }
    if let Some(force) = &why.forcing {
        let command = Some(&force.command).filter(|command| !command.is_empty());
        let command = command.map_or(String::new(), |command| format!(" ({command})"));
        lines.push(format!("  forcing{command}: {}", force.cost));
        if let Some(lost) = force.records_lost {
            lines.push(format!("    at most {lost} acknowledged records would be lost"));
        }
        if let Some(millis) = force.last_contact_ms {
            lines.push(format!("    the peer was last heard {} ago", human::span(millis / 1_000)));
        }
        if force.may_fork {
            lines.push("    the peer may still be serving: two primaries are possible".to_owned());
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use tandem_admin::{ForceView, WaitView};

    use super::*;

    #[test]
    fn times_are_as_people_say_them_and_a_command_is_shown_only_if_there_is_one() {
        let mut why = WhyView {
            waiting: vec![WaitView {
                fact: "a person".into(),
                left_ms: Some(595_780),
                ..WaitView::default()
            }],
            forcing: Some(ForceView { cost: "nothing helps".into(), ..ForceView::default() }),
            ..WhyView::default()
        };
        let shown = render(&why);
        assert!(shown.contains(", 9m 55s left"), "{shown}");
        assert!(shown.contains("  forcing: nothing helps"), "{shown}");
        why.forcing.as_mut().unwrap().command = "tandem promote --force".into();
        assert!(render(&why).contains("  forcing (tandem promote --force): nothing"), "{shown}");
    }
}
