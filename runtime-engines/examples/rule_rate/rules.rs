//! Rules such as people write: twenty shapes, after what public rule sets look for, each with names of its own.

use std::fmt::Write as _;

use runtime_core::policy::RuleSource;

const COMMON: &str = r#"
- macro: spawned_process
  condition: (evt.type in (execve, execveat) and evt.dir=<)
- macro: container
  condition: (container.id != host)
- macro: open_read
  condition: (evt.type in (open, openat, openat2) and evt.is_open_read=true and fd.typechar='f' and fd.num>=0)
- macro: open_write
  condition: (evt.type in (open, openat, openat2) and evt.is_open_write=true and fd.typechar='f' and fd.num>=0)
- macro: outbound
  condition: (evt.type in (connect, sendto, sendmsg) and fd.typechar = 4 and fd.ip != "0.0.0.0" and fd.net != "127.0.0.0/8")
- macro: package_managers
  condition: (proc.name in (apt, apt-get, dpkg, yum, dnf, rpm, apk, pip, npm))
- macro: modify
  condition: (evt.type in (rename, renameat, renameat2, unlink, unlinkat))
"#;

/// The shapes; `@` is the rule's number.
const SHAPES: [&str; 20] = [
    // What is executed, by its name.
    "spawned_process and container and proc.name in (scanner@, sniffer@, probe@) and not proc.pname in (cron, systemd)",
    "spawned_process and container and proc.name = loader@ and (proc.args contains \"-e \" or proc.cmdline icontains inject)",
    "spawned_process and proc.pname in (nginx@, httpd@, php-fpm@) and proc.name in (sh, bash, dash, ash)",
    "spawned_process and container and proc.exepath startswith /opt/implant@/ and not package_managers",
    "spawned_process and proc.name in (tar, zip, gzip) and proc.args contains /exfil@/",
    // What is executed, by what stands in its command line or where it runs.
    "spawned_process and container and proc.cmdline contains \"--payload@\"",
    "spawned_process and container and container.image.repository in (registry.example/banned@, docker.io/banned@)",
    "spawned_process and container and proc.aname in (broker@, relay@) and user.uid = 0",
    // Files that are read.
    "open_read and container and fd.name in (/etc/secret@, /root/.secret@/key, /var/lib/app@/token) and not package_managers",
    "open_read and container and fd.name startswith /srv/vault@/ and not proc.name in (vaultd, backup)",
    "open_read and container and fd.filename in (id_rsa_@, credentials@.json)",
    "open_read and container and fd.name glob /home/*/.config@/token",
    // Files that are written.
    "open_write and container and fd.directory in (/etc/cron@.d, /usr/local/bin@) and not package_managers",
    "open_write and container and fd.name pmatch (/usr/lib@, /boot@) and proc.pname != installer",
    "open_write and container and fd.name endswith .locked@",
    "modify and container and fs.path.name startswith /var/log/audit@/",
    // The network.
    "outbound and container and fd.sport = 2@ and not proc.name in (kubelet, dns)",
    "outbound and container and fd.sip.name in (c2-@.example, drop@.example)",
    "outbound and container and proc.name in (worm@, tunnel@) and fd.l4proto = tcp",
    "outbound and container and fd.sip in (203.0.113.1, \"198.51.@.7\") and proc.exepath startswith /tmp",
];

/// So many rules.
pub(crate) fn source(count: usize) -> RuleSource {
    let mut text = String::from(COMMON);
    for number in 0..count {
        let shape = SHAPES[number % SHAPES.len()];
        // A port, and a part of an address, are numbers in their bounds.
        let own = (number / SHAPES.len() % 250).to_string();
        let own = if shape.contains("198.51.") || shape.contains("= 2@") {
            own
        } else {
            number.to_string()
        };
        let condition = shape.replace('@', &own);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "- rule: generated {number}\n  id: generated-{number}\n  desc: Rule {number} of the benchmark.\n  \
             condition: >\n    {condition}\n  output: Found (user=%user.uid command=%proc.cmdline file=%fd.name)\n  \
             priority: WARNING\n  tags: [generated]\n"
        );
    }
    RuleSource {
        origin: "generated".into(),
        text,
        first_line: 1,
    }
}
