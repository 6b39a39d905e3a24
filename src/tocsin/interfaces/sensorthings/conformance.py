"""Which requirements of OGC 18-088 hold here, as the landing page names them: each class, and beside it each requirement by itself.

Some clients and suites look for the class, such as `datamodel`, others for the requirement, such as `datamodel/thing/properties`.
"""

from __future__ import annotations

SPEC = "http://www.opengis.net/spec/iot_sensing/1.1/req/"
ENTITIES = (
    "thing",
    "location",
    "historical-location",
    "datastream",
    "sensor",
    "observed-property",
    "observation",
    "feature-of-interest",
)
REQUEST_DATA = (
    "status-code",
    "query-status-code",
    "order",
    "expand",
    "select",
    "orderby",
    "top",
    "skip",
    "count",
    "filter",
    "built-in-filter-operations",
    "built-in-query-functions",
    "pagination",
)
CREATE_UPDATE_DELETE = (
    "create-entity",
    "link-to-existing-entities",
    "deep-insert",
    "deep-insert-status-code",
    "update-entity",
    "update-entity-put",
    "update-entity-jsonpatch",
    "delete-entity",
    "historical-location-auto-creation",
    "historical-location-manual-creation",
)
CONFORMANCE = tuple(
    SPEC + name
    for name in (
        "datamodel",
        "datamodel/entity-control-information/common-control-information",
        *(f"datamodel/{entity}/{part}" for entity in ENTITIES for part in ("properties", "relations")),
        "resource-path/resource-path-to-entities",
        "request-data",
        *(f"request-data/{name}" for name in REQUEST_DATA),
        *(f"create-update-delete/{name}" for name in CREATE_UPDATE_DELETE),
        "batch-request/batch-request",
        "multi-datastream",
        *(f"multi-datastream/{part}" for part in ("properties", "relations", "constraints")),
        "data-array/data-array",
    )
)
CONFORMANCE_BY_MQTT = tuple(
    SPEC + name for name in ("create-observations-via-mqtt/observations-creation", "receive-updates-via-mqtt/receive-updates")
)
