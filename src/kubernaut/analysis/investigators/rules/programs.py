"""The table of last words: what programs say when they end, whatever they are written in, and the cause it means."""

from kubernaut.analysis.investigators.rules.sayings import Said, Saying

_VAGUER = frozenset({"ConfigurationInvalid"})
"""Programs say of much that is wrong that it is their configuration."""
PROGRAM = (
    Saying(
        cause="WrongArchitecture",
        doc="The image is built for another processor than the node has: the kernel cannot run its program.",
        explains=_VAGUER,
        said=Said.PROGRAM,
        words=r"exec format error|cannot execute binary file|qemu-\w+: could not open|rosetta error",
        means="The image of {target} is built for another processor architecture than its node has.",
        advice="Build the image for the nodes' architecture, or select nodes that have the image's.",
        base=0.88,
        changed=(".image", "nodeSelector", "affinity"),
    ),
    Saying(
        cause="FileSystemReadOnly",
        doc="The program writes where it may not: its root file system or a volume is mounted read-only.",
        explains=_VAGUER,
        said=Said.PROGRAM,
        words=r"read-only file ?system|\bEROFS\b",
        means="The program of {target} writes to a file system that is mounted read-only.",
        advice="Mount an emptyDir where it writes, or set readOnlyRootFilesystem to false.",
        base=0.8,
        changed=("securityContext", ".volumeMounts", ".volumes", ".image"),
    ),
    Saying(
        cause="FilePermissionDenied",
        doc="The program may not read or write a file: the user it runs as and the owner of the files do not fit.",
        explains=_VAGUER,
        said=Said.PROGRAM,
        words=r"(open|mkdir|create|unlink|chown|chmod|access|write|bind|read|permissions of|change|rename|stat|lock)\S*\b.{0,200}"
        r"(permission denied|operation not permitted)|\bEACCES\b|\bEPERM\b|PermissionError|AccessDeniedException: /"
        r"|/[\w./-]{1,200}['\")]*: (permission denied|operation not permitted)|is not writable",
        means="The program of {target} may not use a file or port: its user and the owner of the files do not fit.",
        advice="Set runAsUser and fsGroup to what the image and its volumes expect.",
        base=0.78,
        changed=("securityContext", ".volumeMounts", ".volumes", ".image"),
    ),
    Saying(
        cause="PortInUse",
        doc="The program cannot listen: another container of the pod, or the node, has its port.",
        explains=_VAGUER,
        said=Said.PROGRAM,
        words=r"address (is )?already in use|\bEADDRINUSE\b|port \d+ (is|was) already in use|port is already allocated"
        r"|connection in use: \(|only one usage of each socket",
        means="The program of {target} cannot listen: its port is taken by another container of the pod, or by the node.",
        advice="Give the containers of the pod different ports; with hostNetwork the node's own ports count too.",
        base=0.82,
        changed=(".args", ".command", ".env", ".ports", "hostNetwork", ".image", "containers"),
    ),
    Saying(
        cause="TooManyOpenFiles",
        doc="The program may open no more files or connections: it has as many as its limit (ulimit -n) allows.",
        explains=_VAGUER,
        said=Said.PROGRAM,
        words=r"too many open files|\bEMFILE\b|\bENFILE\b",
        serving=r"too many open files|\bEMFILE\b|\bENFILE\b",
        means="The program of {target} has as many files and connections open as it may, and gets no more.",
        advice="Raise the limit of open files of its command or image, or find what it does not close.",
        base=0.82,
        changed=(".command", ".args", ".image", ".env"),
    ),
    Saying(
        cause="SharedMemoryFull",
        doc="The program needs more shared memory (/dev/shm) than the runtime gives a container: 64 MiB where nothing is mounted there.",
        explains=_VAGUER,
        said=Said.PROGRAM,
        words=r"/dev/s[h]m\b.{0,120}(no space left|\bENOSPC\b)|(no space left|\bENOSPC\b).{0,120}/dev/s[h]m\b"
        r"|could not (resize|open) shared memory segment",
        means="The program of {target} finds no room left in /dev/shm.",
        advice="Mount an emptyDir with medium Memory at /dev/shm, as large as the program needs; its memory limit counts it.",
        base=0.84,
        changed=(".volumeMounts", ".volumes", ".command", ".args", ".image", ".env"),
    ),
    Saying(
        cause="CertificateExpired",
        doc="A certificate that the program relies on has expired.",
        explains=_VAGUER | {"CertificateNotTrusted"},
        said=Said.PROGRAM,
        words=r"certificate[\w ]{0,24} (has|is) (expired|not yet valid|no longer valid|out of date)|certificate expired|expired certificate"
        r"|CERT_HAS_EXPIRED|CertificateExpired|CertExpired|CertificateNotYetValid|CertPathValidatorException: validity check failed"
        r"|invalid peer certificate: Expired|NotTimeValid|certificate'?s? .{0,40}(validity|expir)",
        serving=r"certificate has expired|CERT_HAS_EXPIRED|certificate is not yet valid|invalid peer certificate: Expired",
        means="The program of {target} meets a certificate that is not valid any more.",
        advice="Renew the certificate that the last words name; then start the pods again.",
        base=0.82,
        changed=(),
    ),
    Saying(
        cause="CertificateNotTrusted",
        doc="The program, or a server that it calls, shows a certificate that the other side does not trust: an authority that it does not"
        " know, or another name than it was called by.",
        explains=_VAGUER | {"DependencyUnreachable", "ReadinessProbeFailing"},
        said=Said.PROGRAM,
        words=r"x509: (certificate signed by unknown authority|cannot validate certificate|certificate is (valid for|not valid for any)"
        r"|certificate relies on legacy)|self[- ]signed certificate|unable to (get local issuer|verify the first) certificate"
        r"|PKIX path building failed|unable to find valid certification path|certificate verify failed(?!.{0,80}expired)"
        r"|\b(CERT_SIGNATURE_FAILURE|ERR_TLS_CERT_ALTNAME_INVALID|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN)\b"
        r"|No subject alternative (DNS )?names? .{0,120}(found|present)|hostname .{0,120}doesn't match|UnknownIssuer|unknown ca\b",
        means="{target} and a server that it calls do not trust each other's certificate.",
        advice="Compare the certificate that is shown with the authority and the host name that the program expects: give it the right CA"
        " bundle, or have the certificate issued for that name.",
        base=0.8,
        changed=(".env", ".args", ".volumes", ".volumeMounts", ".image"),
    ),
    Saying(
        cause="CredentialsRejected",
        doc="A server that the program needs refuses its user name, password or token.",
        explains=_VAGUER,
        said=Said.PROGRAM,
        words=r"(password|sasl|ldap|peer|ident)? ?(authentication|authorization|login|logon) (has )?(failed|failure|refused)"
        r"|login was refused|access denied for user|(unable|failed|not able) to authenticate|failed to log ?in"
        r"|(invalid|incorrect|wrong|bad|unknown|unrecognized|expired) (or \w+ )?(credentials?|password|passphrase|api.?key|token|access key"
        r"|client secret|user ?name (or|and) password|username/password)"
        r"|(credentials?|password|token|api.?key) (is |are |was |were |has |have )?(been )?(invalid|incorrect|expired|revoked|rejected)"
        r"|\bWRONGPASS\b|\bNOAUTH\b|\b401\b.{0,3} ?unauthorized|unauthorized.{0,12}\b401\b|status(code| code)?[ :=]*401\b"
        r"|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidClientTokenId|UnrecognizedClientException|invalid_(grant|client)"
        r"|ACCESS_REFUSED|ORA-01017|ORA-28000|role .{1,80} (does not exist|is not permitted to log in)|no pg_hba\.conf entry"
        r"|permission denied for (table|relation|schema|database|sequence)|\bnot[ _]authorized\b|\b403\b.{0,30}forbidden"
        r"|forbidden.{0,20}\b403\b|PERMISSION_DENIED(?!: RBAC: access denied)|\bAccessDenied\b"
        r"|UnauthorizedOperation|insufficient (permissions?|privileges?)"
        r"|requires authentication|authentication required",
        serving=r"password authentication failed|\bNOAUTH\b|\bWRONGPASS\b|access denied for user '|ACCESS_REFUSED|ORA-01017|ORA-28000"
        r"|failed sasl auth|(sasl|scram)\S* authentication failed|no pg_hba\.conf entry|requires authentication"
        r"|not authorized on \S+ to execute|permission denied for (table|relation|schema|sequence) "
        r"|InvalidAccessKeyId|SignatureDoesNotMatch",
        means="A server that {target} needs refuses its credentials.",
        advice="Compare the credentials the pods get with what the server expects; after a change of a Secret pods must be started anew.",
        base=0.8,
        changed=(".env", ".envFrom", ".volumes"),
    ),
    Saying(
        cause="ConfigurationInvalid",
        doc="The program cannot read its configuration: a flag it does not know, a file that does not parse, a setting that is missing.",
        said=Said.PROGRAM,
        words=r"unknown (flag|shorthand flag|option|command line|directive|subcommand|command)|flag provided but not defined"
        r"|(unrecognized|illegal|bad|invalid) (VM )?(option|flag|setting|value for|initial heap|maximum heap)"
        r"|unrecognized arguments?|invalid argument ['\"-]|the following arguments are required|could not create the java virtual machine"
        r"|(yaml|toml|json|xml|config\w*|properties)\b.{0,80}(parse|syntax|unmarshal|invalid|unexpected|malformed|did not find expected"
        r"|cannot start any token|mapping values are not allowed|invalid character)"
        r"|(failed|cannot|could not|unable) to (parse|load|read) .{0,40}(config|settings|properties)|invalid configuration"
        r"|(required|missing).{0,40}(environment variable|env var|setting|configuration)"
        r"|(environment|env|config\w*|setting) ?(variables?|var|values?|key)? \S{1,80} (is |was )?(not set|not defined|undefined|unset)"
        r"|(environment|env|config\w*|setting) ?(variable|var|value|key)?s? \S{1,80} (is |must be )?(set|required|missing|not found|empty)"
        r"|required (key|value|property|variable|field|parameter|option) .{0,80}(missing|not (set|found|provided|specified))"
        r"|missing (required )?(key|value|property|variable|field|parameter|option|config\w*)\b"
        r"|(config\w*|settings|env\w*) (validation|schema) (error|fail\w*)|validation errors? for \w*(settings|config|env)"
        r"|\[emerg\](?!.{0,60}(host not found|bind\(\)|open\(\)|certificate)).{0,200} in \S+:\d+"
        r"|(syntax error|unexpected|parse error|parsing).{0,120}\.(ya?ml|conf|json|toml|ini|cfg|properties)\b"
        r"|\.(ya?ml|conf|json|toml|ini|cfg|properties)\b.{0,80}(syntax|unexpected|pars(e|ing)\b|invalid|line \d+)"
        r"|(open|stat|read|load) \S+\.(conf|cfg|ini|ya?ml|json|toml|properties): no such file"
        r"|InvalidSSLConfiguration|(cannot|can not|could not|failed to|unable to) (set up|load|read|open) (the )?"
        r"(PEM|TLS|SSL|certificate|private key|key pair|server cert|x509)"
        r"|could not resolve placeholder|failed to bind properties|error loading config|fatal errors? found in config|in configuration file"
        r"|(?-i:\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b)['\"]? (is (required|missing|empty|not (set|defined))|must be|cannot be empty)"
        r"|(?-i:Key(Error|NotFound\w*)): ?\S{0,3}(?-i:[A-Z][A-Z0-9_]+)['\"]|key not found: ['\"](?-i:[A-Z][A-Z0-9_]+)['\"]"
        r"|(?-i:NotPresent)\b",
        serving=r"(dns:|://|lookup |ENOTFOUND |resolve )(undefined|null|none)\b|\bundefined:\d+",
        means="The program of {target} refuses its configuration.",
        advice="Correct the flag, file or variable that the last words name.",
        base=0.8,
        changed=(".env", ".args", ".command", ".volumes", ".volumeMounts", ".image"),
    ),
    Saying(
        cause="DatabaseSchemaMismatch",
        doc="The program and its database do not fit: a table or column is missing, or a migration failed.",
        said=Said.PROGRAM,
        words=r"(relation|table|column|database|schema|collection|view) \S+ (does not exist|doesn't exist)|no such (table|column)"
        r"|unknown (column|table|database)|invalid (object|column) name|ORA-00942|ORA-00904"
        r"|migrations? .{0,60}(fail(ed|ure)?\b|checksum|dirty|pending|validation)|dirty database version"
        r"|(pending|unapplied|failed) migrations?|PendingMigration|can't locate revision"
        r"|schema version .{0,60}(mismatch|expected|too (old|new)|not supported|incompatible)"
        r"|wrong mongod version|invalid featureCompatibilityVersion"
        r"|database .{0,60}(newer|older) than|initialized by .{0,40}version .{0,80}not compatible|Schema-validation",
        serving=r"unknown column '|no such (table|column): |(relation|column) \"?\S+ does not exist|table '\S+' doesn't exist"
        r"|ORA-00942|ORA-00904"
        r"|invalid (object|column) name '",
        means="The program of {target} and its database do not fit each other: a migration is missing or failed.",
        advice="Run or repair the migration; or go back to the version that fits the database.",
        base=0.78,
        changed=(".image",),
    ),
    Saying(
        cause="DependencyUnreachable",
        doc="The program cannot reach something it needs, and ends or complains for that; nothing in the cluster tells why.",
        said=Said.PROGRAM,
        words=r"connection (to .{1,120} )?(was )?(refused|reset|timed ?out|closed|aborted|failed|failure|error)|no such host|i/o timeout"
        r"|(could not|cannot|can't|unable to|failed to|error) (connect|reach|resolve|open (a )?connection|establish)"
        r"|connecttimeout|(connect|read) timed out"
        r"|\bE(CONNREFUSED|CONNRESET|NOTFOUND|TIMEDOUT|HOSTUNREACH|AI_AGAIN)\b|UnknownHost|name or service not known|no address associated"
        r"|name resolution|no route to host|(network|host) is unreachable|server selection (error|timeout)|communications? link failure"
        r"|no reachable servers|no suitable servers|NoBrokersAvailable|context deadline exceeded|timeout expired"
        r"|too many (clients|connections)|connection slots are reserved"
        r"|max_connections|host not found in upstream|\b50[234]\b \(?(bad gateway|service unavailable|gateway time-?out)"
        r"|(returned|answered|responded with|status(code| code)?[ :=]*) ?50[234]\b"
        r"|(upstream|downstream|backend|dependency) .{0,60}\bunavailable"
        r"|code = Unavailable|not reachable|broker transport failure|connection is not available, request timed out"
        r"|connection ?pool .{0,60}(exhausted|empty|limit|timed? ?out)|QueuePool limit of size",
        serving=r"connection refused|ECONNREFUSED|no such host|ENOTFOUND|i/o timeout|ETIMEDOUT|connect(ion)? timed out"
        r"|name resolution failed"
        r"|dns resolution failed|name or service not known|failed to connect|no healthy upstream|server selection (error|timeout)"
        r"|upstream timed out|code = Unavailable|remote_connection_failure",
        means="The program of {target} cannot reach something it needs.",
        advice="The last words name what it cannot reach: look whether that runs, and whether the address is right.",
        base=0.66,
        changed=(".env", ".args", ".command", "dnsPolicy", "dnsConfig", "hostNetwork", "hostAliases"),
    ),
)
RULES = tuple(saying.rule() for saying in PROGRAM)
