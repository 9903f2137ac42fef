"""The schema of the custom resource that the recordings of a real API server use."""

from typing import Any

from kubernaut.localcluster.schema import Schema

WIDGET: dict[str, Any] = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size", "owner"],
            "x-kubernetes-validations": [
                {"rule": "self.size != 'small' || self.replicas <= 3", "message": "small widgets have at most 3 replicas"}
            ],
            "properties": {
                "size": {"type": "string", "enum": ["small", "medium", "large"]},
                "owner": {"type": "string", "minLength": 1, "maxLength": 20, "pattern": "^[a-z][a-z0-9-]*$"},
                "replicas": {"type": "integer", "minimum": 0, "maximum": 10, "default": 1},
                "engine": {
                    "type": "string",
                    "default": "standard",
                    "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "engine is immutable"}],
                },
                "tags": {"type": "array", "maxItems": 4, "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "port": {"type": "integer", "format": "int32"},
                            "protocol": {"type": "string", "default": "TCP"},
                        },
                    },
                },
                "settings": {"type": "object", "additionalProperties": {"type": "string"}},
                "when": {"type": "string", "format": "date-time"},
                "limit": {"x-kubernetes-int-or-string": True},
                "note": {"type": "string", "nullable": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "nested": {"type": "object", "default": {}, "properties": {"on": {"type": "boolean", "default": True}}},
            },
        },
        "status": {
            "type": "object",
            "properties": {
                "phase": {"type": "string", "enum": ["Pending", "Ready", "Failed"]},
                "observedGeneration": {"type": "integer", "format": "int64"},
                "conditions": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["type"],
                    "items": {
                        "type": "object",
                        "required": ["type", "status"],
                        "properties": {
                            "type": {"type": "string"},
                            "status": {"type": "string"},
                            "reason": {"type": "string"},
                            "message": {"type": "string"},
                            "lastTransitionTime": {"type": "string", "format": "date-time"},
                        },
                    },
                },
            },
        },
    },
}


def schema() -> Schema:
    return Schema(WIDGET)


def widget(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.dev/v1alpha1",
        "kind": "Widget",
        "metadata": {"name": "x"},
        "spec": {"size": "medium", "owner": "ann", **spec},
    }
