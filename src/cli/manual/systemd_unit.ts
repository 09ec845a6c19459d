/**
 * The unit with which systemd runs `bobbin serve`, as closed in as it can be: systemd.exec(5) says
 * what each line does.
 */
import { VERSION } from "../version.ts";

export interface UnitOptions {
  /** The absolute path of the executable. */
  readonly binary: string;
  /** The absolute path of the store. */
  readonly store: string;
  readonly user: string;
  /** ADDRESS:PORT. */
  readonly listen: string;
}

/** Ports below this want a right of their own. */
const OPEN_PORTS = 1024;

/** The text of `bobbin.service`. */
export function systemdUnit({ binary, store, user, listen }: UnitOptions): string {
  const state = /^\/var\/lib\/(.+)$/.exec(store)?.[1];
  const writable =
    state === undefined
      ? `ReadWritePaths=${unitWord(store)}`
      : `StateDirectory=${unitWord(state)}\nStateDirectoryMode=0700`;
  const port = Number(/\d+$/.exec(listen)?.[0]);
  const isLow = port > 0 && port < OPEN_PORTS;
  const right = isLow ? "CAP_NET_BIND_SERVICE" : "";
  const isHome = /^\/(home|root)\//.test(store);
  return `# Made by \`bobbin generate systemd\`, bobbin ${VERSION}.
#
# Before the first start, as root:
#   useradd --system --home-dir / --shell /usr/sbin/nologin ${user}
#   install -d -o ${user} -m 0700 ${store}
#   install -d -m 0755 /etc/bobbin
#   runuser -u ${user} -- bobbin store init ${store}
#   bobbin passwd --users-file /etc/bobbin/users --allow '*' repl
# and the certificate with its chain in /etc/bobbin/cert.pem, its key in /etc/bobbin/key.pem.
# After a change to one of these three files: systemctl restart bobbin

[Unit]
Description=Bobbin, a replica for Cyrus
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
User=${unitWord(user)}
ExecStart=${unitWord(binary)} serve ${unitWord(`store:${store}`)} --listen ${unitWord(listen)} \\
    --users-file %d/users --tls-cert %d/cert --tls-key %d/key
LoadCredential=users:/etc/bobbin/users
LoadCredential=cert:/etc/bobbin/cert.pem
LoadCredential=key:/etc/bobbin/key.pem
Restart=on-failure
RestartSec=5
# A wrong command line or configuration does not get better by itself.
RestartPreventExitStatus=64 66 78
# serve gives commands in flight 60 seconds (--stop-timeout).
TimeoutStopSec=90
LimitNOFILE=65536
UMask=0077
# /run/bobbin, for --backup-listen /run/bobbin/backup.sock
RuntimeDirectory=bobbin

# Of the whole disk only the store is written.
ProtectSystem=strict
${writable}
ProtectHome=${isHome ? "no" : "yes"}
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RemoveIPC=yes

# It needs no right of root's${isLow ? " but to listen on this port" : ""}.
NoNewPrivileges=yes
PrivateUsers=${isLow ? "no" : "yes"}
CapabilityBoundingSet=${right}
AmbientCapabilities=${right}
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# MemoryDenyWriteExecute= cannot be set: the JavaScript engine compiles code as it runs.

[Install]
WantedBy=multi-user.target
`;
}

/** A word of a unit file: specifiers, blanks and quotes are escaped. */
function unitWord(word: string): string {
  const escaped = word.replaceAll("%", "%%").replace(/["\\]/g, "\\$&");
  return /[\s"'\\;]/.test(escaped) ? `"${escaped}"` : escaped;
}
