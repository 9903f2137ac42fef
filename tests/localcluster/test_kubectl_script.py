"""A day's work with the real kubectl against one cluster with all its stand-ins: each command, and what it must print or end with.

It is about one node and pods whose images nobody pulls, to the letter: over the embedded cluster alone.
"""

import json
import re
import subprocess
from typing import NamedTuple

import pytest

from kubernaut.localcluster import ClusterSettings
from kubernaut.localcluster.threaded import threaded
from tests.localcluster.test_kubectl import KUBECTL

pytestmark = pytest.mark.cluster

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1.27
        ports: [{containerPort: 80}]
        resources: {limits: {cpu: 100m, memory: 64Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
GADGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.shop.dev}
spec:
  group: shop.dev
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget, shortNames: [gt]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, required: [size], properties: {size: {type: integer, minimum: 1, description: How large it is.}}}
          status: {type: object, properties: {phase: {type: string}}}
"""
PRUNED = '{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, labels: {prune: me}}, data: {a: "%s"}}'
GADGET = "{apiVersion: shop.dev/v1, kind: Gadget, metadata: {name: g}, spec: {size: %s}}"


class Step(NamedTuple):
    """One command: its words as on a shell, the pattern its output must hold, and what it is given."""

    words: str
    prints: str
    give: str = ""
    fails: bool = False


def no(words: str, prints: str, give: str = "") -> Step:
    return Step(words, prints, give, fails=True)


AGE = r"\d+m?\d*s"
CHAPTERS = {
    "the cluster": [
        Step("version", r"^Client Version: v1\.\d+\.\d+\nKustomize Version: \S+\nServer Version: v1\.36\.2\n$"),
        Step("cluster-info", r"Kubernetes control plane is running at https://127\.0\.0\.1:\d+"),
        Step("api-versions", r"(?s)apps/v1\n.*batch/v1\n.*\nv1\n$"),
        Step("api-resources --api-group=apps --no-headers", r"(?m)^deployments\s+deploy\s+apps/v1\s+true\s+Deployment$"),
        Step("get --raw /readyz", r"^ok$"),
        Step("get nodes", rf"^NAME     STATUS   ROLES    AGE   VERSION\nnode-1   Ready    <none>   {AGE}    v1\.36\.2\n$"),
        Step("describe node node-1", r"(?s)Name:\s+node-1\n.*Ready\s+True.*KubeletReady.*Non-terminated Pods:"),
        Step("auth whoami", r"Username\s+kubernetes-admin\nGroups\s+\[system:masters system:authenticated\]"),
        Step("create namespace shop", r"^namespace/shop created\n$"),
        no("create namespace shop", r'^Error from server \(AlreadyExists\): namespaces "shop" already exists\n$'),
        Step("get ns shop", rf"^NAME   STATUS   AGE\nshop   Active   {AGE}\n$"),
        Step("config set-context --current --namespace=shop", r'Context "kubernaut" modified\.'),
        Step("get pods", r"^No resources found in shop namespace\.\n$"),
    ],
    "rolling out": [
        Step(
            "apply -f - --dry-run=server",
            r"^deployment\.apps/web created \(server dry run\)\nservice/web created \(server dry run\)\n$",
            WEB,
        ),
        Step("apply -f -", r"^deployment\.apps/web created\nservice/web created\n$", WEB),
        Step("rollout status deploy/web --timeout=60s", r'deployment "web" successfully rolled out\n$'),
        Step("apply -f -", r"^deployment\.apps/web unchanged\nservice/web unchanged\n$", WEB),
        Step("diff -f -", r"^$", WEB),
        Step("get deploy", rf"^NAME   READY   UP-TO-DATE   AVAILABLE   AGE\nweb    2/2     2            2           {AGE}\n$"),
        Step("get deploy web -o wide", r"CONTAINERS   IMAGES       SELECTOR\n.*web          nginx:1\.27   app=web"),
        Step("get rs", r"(?m)^web-\w+\s+2\s+2\s+2\s"),
        Step("get pods -l app=web --no-headers", r"^(web-\w+-\w{5}\s+1/1\s+Running\s+0\s+\S+\n){2}$"),
        Step("get pods -o wide", r"IP\s+NODE\s+NOMINATED NODE\s+READINESS GATES\n.*10\.244\.\d+\.\d+\s+node-1\s+<none>\s+<none>"),
        Step("get pods --show-labels", r"app=web,pod-template-hash=\w+"),
        Step("get pods -o jsonpath={.items[*].status.phase}", r"^Running Running$"),
        Step("get pods -o custom-columns=IMAGE:.spec.containers[0].image", r"^IMAGE\nnginx:1\.27\nnginx:1\.27\n$"),
        Step("get pods -o go-template={{len .items}}", r"^2$"),
        Step("get pods --field-selector=status.phase=Running -o name", r"^(pod/web-\w+-\w{5}\n){2}$"),
        Step("get pods --sort-by=.metadata.name --chunk-size=1 -o name", r"^(pod/web-\w+-\w{5}\n){2}$"),
        Step("get endpoints web", r"(?s)10\.244\.\S+:80,10\.244\.\S+:80.*Warning: v1 Endpoints is deprecated in v1\.33\+"),
        Step("get endpointslices -l kubernetes.io/service-name=web", r"(?m)^web-\w{5}\s+IPv4\s+80\s+10\.244\.\S+,10\.244\.\S+"),
        Step("describe deploy web", r"(?s)2 desired \| 2 updated \| 2 total \| 2 available.*Scaled up replica set web-\w+ from 0 to 2"),
        Step("describe svc web", r"(?s)IP:\s+10\.96\.\d+\.\d+\n.*TargetPort:\s+80/TCP\nEndpoints:\s+10\.244\.\S+:80,10\.244\.\S+:80"),
        Step("set image deploy/web web=nginx:1.28", r"^deployment\.apps/web image updated\n$"),
        Step("rollout status deploy/web --timeout=60s", r'deployment "web" successfully rolled out\n$'),
        Step("rollout history deploy/web", r"^deployment\.apps/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n\n$"),
        Step("rollout history deploy/web --revision=1", r"Image:\s+nginx:1\.27"),
        Step("rollout undo deploy/web", r"(?m)^deployment\.apps/web rolled back$"),
        Step("rollout status deploy/web --timeout=60s", r"successfully rolled out"),
        Step("get deploy web -o jsonpath={.spec.template.spec.containers[0].image}", r"^nginx:1\.27$"),
        Step("rollout pause deploy/web", r"^deployment\.apps/web paused\n$"),
        no("rollout pause deploy/web", r"is already paused"),
        Step("rollout resume deploy/web", r"^deployment\.apps/web resumed\n$"),
        Step("rollout restart deploy/web", r"^deployment\.apps/web restarted\n$"),
        Step("scale deploy web --replicas=3", r"^deployment\.apps/web scaled\n$"),
        no("scale deploy web --replicas=1 --current-replicas=7", r"^error: Expected replicas to be 7, was 3\n$"),
        Step("wait deploy/web --for=jsonpath={.status.readyReplicas}=3 --timeout=60s", r"^deployment\.apps/web condition met\n$"),
        Step("get deploy web --subresource=scale", rf"^NAME   DESIRED   AVAILABLE   AGE\nweb    3         \d           {AGE}\n$"),
        Step("autoscale deploy web --min=1 --max=4 --cpu=50%", r"^horizontalpodautoscaler\.autoscaling/web autoscaled\n$"),
        Step("get hpa web", r"(?m)^web\s+Deployment/web\s+cpu: \S+/50%\s+1\s+4\s"),
        Step("delete hpa web", r'^horizontalpodautoscaler\.autoscaling "web" deleted from shop namespace\n$'),
    ],
    "changing": [
        Step("set env deploy/web COLOUR=red", r"^deployment\.apps/web env updated\n$"),
        Step("set resources deploy web --limits=cpu=200m,memory=64Mi", r"resource requirements updated\n$"),
        Step('patch deploy web -p {"spec":{"replicas":1}}', r"^deployment\.apps/web patched\n$"),
        Step('patch deploy web --type=json -p [{"op":"replace","path":"/spec/replicas","value":2}]', r"patched\n$"),
        no('patch deploy web --type=json -p [{"op":"test","path":"/spec/replicas","value":7}]', r"the server rejected our request"),
        Step("edit deploy web", r"^deployment\.apps/web edited\n$"),
        Step("get deploy web -o jsonpath={.spec.template.spec.containers[0].imagePullPolicy}", r"^Always$"),
        Step("label deploy web tier=front", r"^deployment\.apps/web labeled\n$"),
        no("label deploy web tier=back", r"already has a value \(front\), and --overwrite is false"),
        Step("get deploy -L tier", r"TIER\n.*front"),
        Step("label deploy web tier-", r"^deployment\.apps/web unlabeled\n$"),
        Step("annotate deploy web note=hello", r"^deployment\.apps/web annotated\n$"),
        Step("apply view-last-applied deploy web", r"^apiVersion: apps/v1\nkind: Deployment\n"),
        Step(
            "apply --server-side --force-conflicts -f -",
            r"^deployment\.apps/web serverside-applied\nservice/web serverside-applied\n$",
            WEB,
        ),
        no(
            "apply --server-side --field-manager=other -f -",
            r"(?s)Apply failed with \d+ conflicts?.*\.spec\.template\.spec\.containers\[name=\"web\"\]\.image",
            WEB.replace("1.27", "1.29"),
        ),
        Step("rollout status deploy/web --timeout=60s", r"successfully rolled out"),
        Step("replace -f -", r"^deployment\.apps/web replaced\nservice/web replaced\n$", WEB),
        Step("apply --prune -l prune=me -f -", r"^configmap/kept created\n", PRUNED % ("kept", "1")),
        Step("apply --prune -l prune=me -f -", r"^configmap/other created\nconfigmap/kept pruned\n", PRUNED % ("other", "1")),
        Step("diff -f -", r'(?m)^-  a: "1"\n\+  a: "2"$', PRUNED % ("other", "2"), fails=True),
        Step(
            "replace --force -f -", r'^configmap "other" deleted from shop namespace\nconfigmap/other replaced\n$', PRUNED % ("other", "3")
        ),
        Step("delete cm other", r'"other" deleted'),
        Step("rollout status deploy/web --timeout=60s", r"successfully rolled out"),
        no("replace -f -", r"field is immutable", WEB.replace("matchLabels: {app: web}", "matchLabels: {app: other}").split("---")[0]),
        Step("expose deploy web --port=8080 --name=web2", r"^service/web2 exposed\n$"),
        Step("get svc web2", r"ClusterIP\s+10\.96\.\d+\.\d+\s+<none>\s+8080/TCP"),
    ],
    "other kinds": [
        Step("run one --image=busybox:1 --restart=Never", r"^pod/one created\n$"),
        Step("wait pod/one --for=condition=Ready --timeout=60s", r"^pod/one condition met\n$"),
        Step("logs one", r"^"),
        Step("events --for pod/one", r"(?s)Scheduled.*Successfully assigned shop/one to node-1"),
        no("exec one -- ls", r"exec is not supported by this cluster"),
        no("attach one", r"attach is not supported by this cluster: its pods are simulated\n$"),
        no("port-forward pod/one 18099:80", r"portforward is not supported by this cluster: its pods are simulated\n$"),
        no("cp one:/etc/hosts hosts", r"exec is not supported by this cluster: its pods are simulated"),
        no("top pods", r"Metrics API not available"),
        no("top nodes", r"Metrics API not available"),
        no("certificate approve one", r'the server doesn\'t have a resource type "certificatesigningrequests"'),
        Step("create quota q --hard=pods=20", r"^resourcequota/q created\n$"),
        Step("get quota q", r"(?s)^NAME\s+REQUEST\s+LIMIT\s+AGE\nq\s+pods: \d+/20\s"),
        Step("delete quota q", r'resourcequota "q" deleted'),
        Step("create priorityclass p1 --value=10", r"^priorityclass\.scheduling\.k8s\.io/p1 created\n$"),
        Step("delete priorityclass p1", r'"p1" deleted'),
        Step("create service nodeport np --tcp=80", r"^service/np created\n$"),
        Step("get svc np", r"(?m)^np\s+NodePort\s+10\.96\.\d+\.\d+\s+<none>\s+80:3\d{4}/TCP\s"),
        Step("set selector svc/np app=web", r"^service/np selector updated\n$"),
        Step("delete svc np", r'service "np" deleted'),
        Step("create deployment gone --image=x --dry-run=client -o name", r"^deployment\.apps/gone\n$"),
        Step("logs one --timestamps --since=1h --tail=1", r"^$"),
        no("logs one -p", r'previous terminated container "one" in pod "one" not found'),
        no("logs one -c two", r"container two is not valid for pod one"),
        Step(
            "debug node/node-1 --image=busybox:1",
            r"^Creating debugging pod node-debugger-node-1-\w{5} with container debugger on node node-1\.\n",
        ),
        Step("wait pods -l app.kubernetes.io/managed-by=kubectl-debug --for=condition=Ready --timeout=60s", r"condition met\n$"),
        Step("delete pods -l app.kubernetes.io/managed-by=kubectl-debug --grace-period=1", r'"node-debugger-node-1-\w{5}" deleted'),
        Step("get --raw /metrics", r"(?m)^apiserver_request_total\{.*\} [1-9]"),
        Step("run dry --image=x --dry-run=server -o jsonpath={.status.qosClass}", r"^BestEffort$"),
        Step("create configmap cm --from-literal=a=1", r"^configmap/cm created\n$"),
        Step('patch cm cm -p {"data":{"a":"1"}}', r"^configmap/cm patched \(no change\)\n$"),
        Step("describe cm cm", r"Data\n====\na:\n----\n1\n"),
        Step("create secret generic s --from-literal=password=hidden", r"^secret/s created\n$"),
        Step("describe secret s", r"password:  6 bytes"),
        Step("create job j --image=busybox:1 -- true", r"^job\.batch/j created\n$"),
        Step("wait job/j --for=condition=Complete --timeout=60s", r"^job\.batch/j condition met\n$"),
        Step("get job j", r"(?m)^j\s+Complete\s+1/1\s+\d+s\s+"),
        Step("create cronjob cj --image=busybox:1 --schedule=0_0_1_1_*", r"^cronjob\.batch/cj created\n$"),
        Step("create job now --from=cronjob/cj", r"^job\.batch/now created\n$"),
        Step("create sa bot", r"^serviceaccount/bot created\n$"),
        Step("create token bot", r"^[\w-]+\.[\w-]+\.[\w-]+$"),
        Step("create role reader --verb=get,list --resource=pods", r"^role\.rbac\.authorization\.k8s\.io/reader created\n$"),
        Step(
            "create rolebinding reads --role=reader --serviceaccount=shop:bot",
            r"^rolebinding\.rbac\.authorization\.k8s\.io/reads created\n$",
        ),
        Step("set subject rolebinding reads --user=kim", r"^rolebinding\.rbac\.authorization\.k8s\.io/reads subjects updated\n$"),
        Step("set serviceaccount deploy/web bot --dry-run=server", r"serviceaccount updated \(server dry run\)\n$"),
        Step("auth can-i --list", r"(?m)^\*\.\*\s+\[\]\s+\[\]\s+\[\*\]$"),
        Step("describe role reader", r"pods\s+\[\]\s+\[\]\s+\[get list\]"),
        Step("auth can-i create pods", r"^yes\n$"),
        Step("create ingress i --rule=a.example/c=web:80", r"^ingress\.networking\.k8s\.io/i created\n$"),
        Step("get ing i", r"(?m)^i\s+<none>\s+a\.example\s+80\s"),
        Step("create pdb p --selector=app=web --min-available=1", r"^poddisruptionbudget\.policy/p created\n$"),
        Step("get pdb p", r"(?m)^p\s+1\s+N/A\s"),
        Step("delete pdb p", r'"p" deleted'),
        Step(
            "get all -o name",
            r"(?s)pod/one\n.*service/web\n.*deployment\.apps/web\n.*replicaset\.apps/web-\w+\n.*cronjob\.batch/cj\n.*job\.batch/j\n",
        ),
        Step(
            "explain pod.spec.containers --recursive",
            r"(?m)^  livenessProbe\s+<Probe>\n    exec\s+<ExecAction>\n      command\s+<\[\]string>$",
        ),
        Step("cluster-info dump --namespaces=shop", r'(?s)"kind": "PodList".*==== START logs for container one of pod shop/one ===='),
        Step("api-resources --verbs=list --namespaced=false -o name", r"(?m)^nodes$"),
        Step("events --types=Warning", r"^(LAST SEEN|No events)"),
        Step("explain deploy.spec.strategy.type", r"(?s)FIELD: type <string>\n.*Default is\s+RollingUpdate"),
    ],
    "kinds of one's own": [
        Step("create -f -", r"^customresourcedefinition\.apiextensions\.k8s\.io/gadgets\.shop\.dev created\n$", GADGETS),
        Step("wait crd/gadgets.shop.dev --for=condition=Established --timeout=60s", r"condition met\n$"),
        Step("apply -f -", r"^gadget\.shop\.dev/g created\n$", GADGET % 3),
        Step("get gt", r"^NAME   SIZE\ng      3\n$"),
        no(
            "apply -f -",
            r'The Gadget "g" is invalid: spec\.size: Invalid value: 0: spec\.size in body should be greater than or equal to 1',
            GADGET % 0,
        ),
        no("apply -f -", r'strict decoding error: unknown field "spec\.colour"', GADGET % "1, colour: red"),
        Step("explain gadget.spec.size", r"(?s)FIELD: size <integer>\n.*How large it is\."),
        Step('patch gt g --subresource=status --type=merge -p {"status":{"phase":"Ready"}}', r"^gadget\.shop\.dev/g patched\n$"),
        Step("wait gt/g --for=jsonpath={.status.phase}=Ready --timeout=60s", r"^gadget\.shop\.dev/g condition met\n$"),
        Step("delete crd gadgets.shop.dev", r'"gadgets\.shop\.dev" deleted'),
        no("get gt", r"^Error from server \(NotFound\): .*the server could not find the requested resource"),
    ],
    "nodes": [
        Step("cordon node-1", r"^node/node-1 cordoned\n$"),
        Step("get node node-1", r"Ready,SchedulingDisabled"),
        Step("run late --image=busybox:1", r"^pod/late created\n$"),
        Step("wait pod/late --for=condition=PodScheduled=false --timeout=60s", r"^pod/late condition met\n$"),
        Step("describe pod late", r"Warning\s+FailedScheduling\s.*0/1 nodes are available: 1 node\(s\) were unschedulable"),
        Step("uncordon node-1", r"^node/node-1 uncordoned\n$"),
        Step("wait pod/late --for=condition=Ready --timeout=60s", r"^pod/late condition met\n$"),
        Step("taint node node-1 spare=yes:NoSchedule", r"^node/node-1 tainted\n$"),
        Step("taint node node-1 spare:NoSchedule-", r"^node/node-1 untainted\n$"),
        no("drain node-1 --timeout=10s", r"cannot delete .*Pods that declare no controller \(use --force to override\): shop/late"),
        Step("drain node-1 --force --grace-period=0 --timeout=60s", r"(?m)^pod/late evicted$[\s\S]*^node/node-1 drained$"),
        Step("uncordon node-1", r"^node/node-1 uncordoned\n$"),
    ],
    "deleting": [
        no("get pod none", r'^Error from server \(NotFound\): pods "none" not found\n$'),
        no("get nothing", r'^error: the server doesn\'t have a resource type "nothing"\n$'),
        Step("delete pod none --ignore-not-found", r"^$"),
        Step("delete job j now", r'job\.batch "j" deleted from shop namespace\njob\.batch "now" deleted from shop namespace\n'),
        Step("delete deploy,svc -l app=web", r'^deployment\.apps "web" deleted from shop namespace\nservice "web" deleted'),
        Step("wait pods -l app=web --for=delete --timeout=60s", r"^"),
        Step("delete cm --all", r'configmap "cm" deleted from shop namespace'),
        Step("delete ns shop --timeout=60s", r'^namespace "shop" deleted\n$'),
        no("get ns shop", r'namespaces "shop" not found'),
        no("get pod late", r'^Error from server \(NotFound\): namespaces "shop" not found\n$'),
    ],
}


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    with threaded(ClusterSettings(tls=True, anonymous=False)) as cluster:
        home = tmp_path_factory.mktemp("script")
        (home / "config").write_text(json.dumps(cluster.kubeconfig()))

        def run(step: Step) -> tuple[int, str]:
            # a blank inside a word is written as an underscore in the schedule of a cron job alone
            words = [word.replace("_", " ") if word.startswith("--schedule") else word for word in split(step.words)]
            arguments = [str(KUBECTL), "--kubeconfig", str(home / "config"), "--cache-dir", str(home / "cache"), *words]
            env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "KUBE_EDITOR": "sed -i s/IfNotPresent/Always/"}
            done = subprocess.run(arguments, input=step.give, env=env, capture_output=True, text=True, check=False, timeout=60)
            return done.returncode, done.stdout + done.stderr

        yield run


def split(words: str) -> list[str]:
    """Part a command at blanks, those in braces aside."""
    return re.findall(r"(?:\{\{.*?\}\}|\S)+", words)


def test_every_command_of_the_script_prints_what_it_does_on_a_real_cluster(shell):
    for step in (step for chapter in CHAPTERS.values() for step in chapter):
        code, text = shell(step)
        assert (code != 0) == step.fails, (step, text)
        assert re.search(step.prints, text), f"kubectl {step.words}\n{text}"


def test_the_script_is_long_enough():
    assert sum(map(len, CHAPTERS.values())) >= 60
