"""kubernaut: from a Kubernetes alert to a verified fix.

The map, in the order a signal travels:

    gateway         a webhook comes in; one RemediationRequest is made, or the open one counts it
    orchestration   what next: one child object at a time, limits, escalation
    processing      what the cluster knows about the signal, and how much it matters
    analysis        why it is so, which fix, and whether a person must be asked
    workflow        the fix as a Tekton PipelineRun, or as planned steps
    execution       typed actions on the cluster, checked before and recorded after
    verification    did it help?
    notification    people are told
    datastorage     everything is kept

    api             the words: every kind and message
    kube            the controller kernel
    approving       a person decides, from wherever they answer
    halt            asked before anything is begun: has somebody paused?
    conditions      what users demand to be so before a change, and after
    undo            how a change is asked to be taken back
    policy          rules that users write in CEL, and their reading
    service         what our HTTP services share
    outbound        how our parts call those services
    network         what is wrong with a connection, in few words
    plugins         what other packages bring, by entry points
    catalog         the agreed fixes: their bundles, their checks, their status
    localcluster    an embedded Kubernetes, knowing nothing of all this
    wiring          the only place that knows everybody; settings, manifests, cli stand around it
"""
