"""The OpenAPI document of the API: paths and shapes read off the views, statuses from the table below.

Imported when the document is first asked for: nothing else of the hub knows drf-spectacular.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from agent.backend.contract import (
    ENTRIES_LIMIT,
    GENERATION_HEADER,
    IDEMPOTENCY_KEY_HEADER,
    PLATFORM,
    SLUG_LIMIT_CHARACTERS,
)
from agent.hub.integrations import answers as a
from agent.hub.integrations import past_views, report_views, serializers, views, wire_fields
from agent.hub.problems import MEDIA_TYPE

ANYWHERE: Final = (400, 408, 413, 500, 503)
"""A Host that is not ours, a body too slow or too large, a bug, a busy database."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method of one view takes and answers."""

    answers: dict[int, Any]
    takes: Any = None
    refusals: tuple[int, ...] = ()
    """Besides those that any request may get."""
    parameters: tuple[OpenApiParameter, ...] = ()


def _query(name: str, pattern: dict[str, Any]) -> OpenApiParameter:
    return OpenApiParameter(name, {"type": "string", **pattern})


def _header(name: str, pattern: str) -> OpenApiParameter:
    return OpenApiParameter(name, {"type": "string", "pattern": pattern}, OpenApiParameter.HEADER)


_LIST: Final = (
    _query("site", {"pattern": "^[0-9]{1,18}$"}),
    _query("platform", {"examples": [PLATFORM]}),
    _query("sync_request", {"enum": ["open"]}),
)
_PUSH: Final = (
    _header(IDEMPOTENCY_KEY_HEADER, "^[!-~]{1,255}$"),
    _header(GENERATION_HEADER, "^[0-9]{1,18}$"),
)
_PAGE: Final = (_query("page", {"pattern": "^[1-9][0-9]{0,8}$"}),)
_SINCE: Final = (OpenApiParameter("since", {"type": "string", "format": "date-time"}),)

OPERATIONS: Final = {
    (views.LoginView, "POST"): Operation({200: a.Tokens}, serializers.LoginSerializer, (401, 429)),
    (views.RefreshView, "POST"): Operation({200: a.Tokens}, serializers.RefreshSerializer, (401,)),
    (views.IntegrationListView, "GET"): Operation(
        {200: a.IntegrationSerializer(many=True)}, refusals=(404,), parameters=_LIST
    ),
    (views.IntegrationView, "GET"): Operation({200: a.IntegrationDetailSerializer}),
    (views.UpdateStructureView, "POST"): Operation(
        {200: a.PushTaken}, serializers.StructureSerializer, (409, 422), _PUSH
    ),
    (views.ContentTypesView, "GET"): Operation({200: a.ContentTypes}),
    (report_views.ContentsView, "POST"): Operation({200: a.ContentsTaken}, serializers.ContentsSerializer),
    (report_views.ContentsView, "DELETE"): Operation({200: a.ContentsTaken}, serializers.ContentsSerializer),
    (report_views.SyncRequestView, "POST"): Operation({202: a.SyncRequestSerializer}),
    (report_views.SyncRequestView, "PATCH"): Operation(
        {200: a.SyncRequestSerializer}, serializers.SyncReportSerializer, (409,)
    ),
    (report_views.RunsView, "POST"): Operation(
        {200: a.RunSerializer, 201: a.RunSerializer}, serializers.RunReportSerializer
    ),
    (report_views.RunsView, "GET"): Operation({200: a.RunSerializer(many=True)}),
    (past_views.HistoryView, "GET"): Operation({200: a.HistoryShape}, parameters=_PAGE),
    (past_views.SnapshotView, "GET"): Operation({200: serializers.StructureSerializer}),
    (past_views.DiffView, "GET"): Operation({200: a.DiffShape}, parameters=_SINCE),
    (past_views.HealthView, "GET"): Operation({200: a.Health}),
}


class HubSchema(AutoSchema):
    """Reads the table above."""

    @property
    def _operation(self) -> Operation:
        return OPERATIONS[type(self.view), self.method]

    def get_request_serializer(self) -> Any:
        return self._operation.takes

    def get_response_serializers(self) -> Any:
        found: dict[int, Any] = dict(self._operation.answers)
        for status in sorted({*ANYWHERE, *self._operation.refusals, *self._usual()}):
            refused = OpenApiResponse(a.Problem, description=HTTPStatus(status).phrase)
            found[(status, MEDIA_TYPE)] = refused  # type: ignore[index]  # its own notation for another media type
        return found

    def _usual(self) -> Iterator[int]:
        if self.view.permission_classes:
            yield 401
        if "{" in self.path:
            yield 404
        if self._operation.takes is not None:
            yield 415

    def get_override_parameters(self) -> Any:
        return list(self._operation.parameters)

    def get_auth(self) -> Any:
        return [{"bearer": []}] if self.view.permission_classes else []

    def get_operation_id(self) -> str:
        return f"{type(self.view).__name__.removesuffix('View')}-{self.method.lower()}"

    def get_tags(self) -> list[str]:
        return ["sign-in" if "auth" in self.path else "integrations"]

    def _get_request_body(self, direction: Any = "request") -> Any:
        # OpenAPI 3.1 allows a DELETE its body; drf-spectacular knows only the methods of 3.0.
        method, self.method = self.method, "POST" if self.method == "DELETE" else self.method
        try:
            return super()._get_request_body(direction) if self._operation_takes(method) else None
        finally:
            self.method = method

    def _operation_takes(self, method: str) -> bool:
        return OPERATIONS[type(self.view), method].takes is not None


class HubGenerator(SchemaGenerator):
    def create_view(self, callback: Any, method: str, request: Any = None) -> Any:
        view = super().create_view(callback, method, request)
        view.schema = HubSchema()
        return view


class _Closed(OpenApiSerializerExtension):
    target_class = wire_fields.ClosedSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> Any:
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)  # noqa: SLF001 - as documented
        return {**schema, "additionalProperties": False}


class _Text(OpenApiSerializerFieldExtension):
    target_class = wire_fields.StrictText
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        of = self.target
        schema: dict[str, Any] = {"type": "string", "minLength": 0 if of.blank else 1, "maxLength": of.limit}
        if isinstance(of, (wire_fields.AwareTimestamp, wire_fields.Moment)):
            schema["format"] = "date-time"
        elif isinstance(of, wire_fields.SiteUrl):
            schema["format"] = "uri"
        return schema


class _Count(OpenApiSerializerFieldExtension):
    target_class = wire_fields.StrictCount

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        return {"type": "integer", "minimum": 0, "maximum": wire_fields.COUNT_LIMIT}


class _Flag(OpenApiSerializerFieldExtension):
    target_class = wire_fields.StrictFlag

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        return {"type": "boolean"}


class _OneOf(OpenApiSerializerFieldExtension):
    target_class = wire_fields.OneOf

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        return {"type": "string", "enum": list(self.target.words)}


class _Slugs(OpenApiSerializerFieldExtension):
    target_class = wire_fields.Slugs

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        each = self.target.each
        is_object = hasattr(each, "fields")
        shape = auto_schema.resolve_serializer(each, direction).ref if is_object else None
        return {
            "type": "object",
            "maxProperties": ENTRIES_LIMIT,
            "propertyNames": {"minLength": 1, "maxLength": SLUG_LIMIT_CHARACTERS},
            "additionalProperties": shape or auto_schema._map_serializer_field(each, direction),  # noqa: SLF001 - likewise
        }


class _Ids(OpenApiSerializerFieldExtension):
    target_class = wire_fields.ExternalIds

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        one = {"oneOf": [{"type": "integer"}, {"type": "string", "minLength": 1, "maxLength": 64}]}
        return {"type": "array", "maxItems": self.target.LIMIT, "items": one}


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of this hub, in the list shape it is set to."""
    found: dict[str, Any] = HubGenerator().get_schema(request=None, public=True)
    return found
