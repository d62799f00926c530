//! Prints `docs/fields.md`, the page of all fields of the rule language, from the one table of them.
//!
//! ```sh
//! cargo run -p runtime-engines --example fields > docs/fields.md
//! ```

use std::fmt::Write as _;

use runtime_core::EventClass;
use runtime_engines::signatures::condition::{ListOperator, Operator, Quantifier, Transformer};
use runtime_engines::signatures::{Argument, FIELDS, Field, FieldType};

#[cfg_attr(test, expect(dead_code, reason = "the test of the page takes the page alone"))]
fn main() {
    print!("{}", page());
}

const HEAD: &str = "\
<!-- Made by `cargo run -p runtime-engines --example fields > docs/fields.md`; a test compares. -->

# Fields of rules

Conditions, outputs and exceptions of rules ask for these fields. They have Falco's names and mean what they mean in
Falco, as far as events have it; where a meaning differs the table says how. Fields that only Podwarden has are marked.
A name that is not on this page refuses its rule, with file and line.

A field that an event does not have satisfies no test, `!=` included, and `not` of such a test holds. In an output it
is `<NA>`.
";

const HOST: &str = "\
## Containers and the host

The daemon judges what happens in containers. Events of the host's own processes are judged only with host monitoring
(`Pipeline::with_host_monitoring`, off unless an embedder switches it on), and then only alerts follow. These kinds of
rules hold for nothing without it:

- rules that ask for the host: `container.id = host`, `container.name = host`, `container.full_id = host`, or
  `not container` with Falco's macro of that name;
- rules about programs that run on a node and in no container: `sshd` and logins, `cron`, `systemd` and its units, the
  package manager of the node, the kubelet and the container runtime themselves;
- rules about files that containers do not see: the node's `/boot`, `/etc/kubernetes`, `/var/lib/kubelet`, unless
  they are mounted into a container, where they have the path of that mount.

Rules without a word of containers are judged in all containers. Paths are those in the container, process ids and
user ids those of the host.
";

/// The whole page.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Types and operators\n\n| type | what it is | operators |\n| --- | --- | --- |\n");
    let ordered = "`=` `==` `!=` `<` `<=` `>` `>=`";
    let texts = words(Operator::WORDS.map(|(name, _)| name).as_slice());
    let lists = words(ListOperator::NAMES.map(|(name, _)| name).as_slice());
    let quantifiers = words(Quantifier::NAMES.map(|(name, _)| name).as_slice());
    for (kind, what, operators) in [
        (
            FieldType::Text,
            "bytes, in no certain encoding",
            format!("{ordered} {texts} {lists}"),
        ),
        (
            FieldType::Name,
            "a process's name: one of exactly 15 bytes in a rule also stands for every longer name that begins with it",
            "as for text".to_owned(),
        ),
        (
            FieldType::Number,
            "a whole number",
            format!("{ordered} `in` `intersects`"),
        ),
        (FieldType::Bool, "`true` or `false`", "`=` `!=` `in`".to_owned()),
        (
            FieldType::Address,
            "an IP address; compares with addresses and networks",
            "`=` `!=` `in` `intersects`".to_owned(),
        ),
        (
            FieldType::Network,
            "the same, for networks as in `192.0.2.0/24`",
            "`=` `!=` `in` `intersects`".to_owned(),
        ),
    ] {
        line(&mut page, &[kind.name(), what, &operators]);
    }
    let transformers = Transformer::NAMES
        .iter()
        .filter(|(_, is)| *is != Transformer::Value);
    let transformers = words(&transformers.map(|(name, _)| *name).collect::<Vec<_>>());
    let _ = write!(
        page,
        "\nAll have `exists`. Behind the operators of one text may stand {quantifiers} and a list. Texts can be changed \
         by {transformers} before they are tested, and `val(field)` on the right stands for another field's value.\n\n"
    );
    page.push_str(HOST);
    let mut families: Vec<&str> = Vec::new();
    for field in FIELDS {
        if !families.contains(&family(field)) {
            families.push(family(field));
        }
    }
    for family in families {
        let of_family = FIELDS.iter().filter(|field| self::family(field) == family);
        let (known, unknown): (Vec<&Field>, Vec<&Field>) = of_family.partition(|field| field.is_supplied());
        let _ = write!(page, "\n## `{family}.*`\n");
        if !known.is_empty() {
            page.push_str("\n| field | type | events | meaning |\n| --- | --- | --- | --- |\n");
            for field in known {
                line(
                    &mut page,
                    &[&form(field), field.kind.name(), &events(field), field.meaning],
                );
            }
        }
        if !unknown.is_empty() {
            page.push_str("\nThese load and have no value in any event:\n\n| field | type | why, and what to use |\n| --- | --- | --- |\n");
            for field in unknown {
                let why = field.meaning.strip_prefix("Not known: ").unwrap_or(field.meaning);
                line(&mut page, &[&form(field), field.kind.name(), why]);
            }
        }
    }
    page
}

fn family(field: &Field) -> &'static str {
    field.name.split('.').next().unwrap_or(field.name)
}

/// How it is written.
fn form(field: &Field) -> String {
    let name = field.name;
    match field.argument {
        Argument::None => format!("`{name}`"),
        Argument::Index => format!("`{name}`, `{name}[N]`"),
        Argument::OptionalKey => format!("`{name}`, `{name}[KEY]`"),
        Argument::Key => format!("`{name}[KEY]`"),
        Argument::CallArgument if name == "evt.arg" => format!("`{name}.NAME`, `{name}[N]`"),
        Argument::CallArgument => format!("`{name}.NAME`"),
    }
}

/// The events that have it.
fn events(field: &Field) -> String {
    let judged = EventClass::ALL.len() - 1;
    if field.events.len() == judged {
        return "all".to_owned();
    }
    field
        .events
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn words(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A line of a table.
fn line(page: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}
