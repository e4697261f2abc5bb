"""Django's admin: people and their sites, for whoever runs the hub. What agents push is read here, not written."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from agent.hub.integrations.models import ApiKey, Run, Site, SiteIntegration, StructureSnapshot, SyncRequest, User


class HubAdminSite(admin.AdminSite):
    site_header = site_title = "wp-structure-agent hub"
    index_title = "Administration"
    site_url = "/"

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:  # type: ignore[override]  # its stub promises a template's answer
        """By the hub's own form: attempts are counted there."""
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get("next", "/admin/"))


admin_site = HubAdminSite()


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in its stub
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]  # generic only in its stub
    class Meta:
        model = User
        fields = ("email",)


@admin.register(User, site=admin_site)
class HubUserAdmin(UserAdmin):  # type: ignore[type-arg]  # likewise
    add_form = NewUserForm
    ordering = ("email",)
    list_display = ("email", "is_active", "is_superuser", "joined_at", "last_login")
    list_filter = ("is_active", "is_superuser")
    search_fields = ("email",)
    filter_horizontal = ()
    readonly_fields = ("joined_at", "last_login")
    fieldsets = ((None, {"fields": ("email", "password", "is_active", "is_superuser", "joined_at", "last_login")}),)
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)


@admin.register(Site, site=admin_site)
class SiteAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # likewise
    list_display = ("name", "url", "owner", "created_at")
    list_select_related = ("owner",)
    search_fields = ("name", "url", "owner__email")
    raw_id_fields = ("owner",)
    readonly_fields = ("created_at",)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        # Nobody is to be made click on javascript:…
        if db_field.name == "url":
            kwargs["form_class"] = forms.URLField
            kwargs["assume_scheme"] = "https"
        return super().formfield_for_dbfield(db_field, request, **kwargs)


@admin.register(ApiKey, site=admin_site)
class ApiKeyAdmin(ReadOnly):
    list_display = ("prefix", "label", "owner", "site", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("owner", "site")
    search_fields = ("prefix", "label", "owner__email")
    exclude = ("sha256",)
    actions = ("revoke",)

    @admin.action(description="Revoke the chosen keys", permissions=["delete"])
    def revoke(self, request: HttpRequest, queryset: Any) -> None:
        for key in queryset:
            key.revoke()


@admin.register(SiteIntegration, site=admin_site)
class IntegrationAdmin(ReadOnly):
    list_display = ("site", "platform", "last_structure_fetch", "failing_since", "wordpress_version")
    list_select_related = ("site",)
    search_fields = ("site__name", "site__url")


@admin.register(StructureSnapshot, site=admin_site)
class SnapshotAdmin(ReadOnly):
    list_display = ("integration", "received_at", "confirmed_at", "generation")
    show_full_result_count = False


@admin.register(SyncRequest, site=admin_site)
class SyncRequestAdmin(ReadOnly):
    list_display = ("integration", "state", "requested_at", "finished_at", "message")


@admin.register(Run, site=admin_site)
class RunAdmin(ReadOnly):
    list_display = ("integration", "result", "reason", "started_at", "finished_at")
    list_filter = ("result",)
