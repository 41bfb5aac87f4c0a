//! PATCH notifications, telemetry-config and system-metrics-export-state: parts of the document that are stored and shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weirgate_config::document::{EmailNotificationsSpec, MetricsExportState, TelemetrySpec};
use weirgate_config::{Pointer, Problem as Finding};

use super::judge::Trial;
use super::view::EndpointDetailed;
use super::{Answer, Method, Problem, Request, Route, change, change_and_show, form};
use crate::lifecycle::{Step, config};

pub(super) fn routes() -> Vec<Route> {
    let notifications = Route::new(
        Method::Patch,
        "/api/2.0/serving-endpoints/{name}/notifications",
        "Set who is told of updates of an endpoint.",
        patch_notifications,
    );
    let telemetry = Route::new(
        Method::Patch,
        "/api/2.0/serving-endpoints/{name}/telemetry-config",
        "Set or, without a config, remove the telemetry export of an endpoint.",
        patch_telemetry,
    );
    let metrics = Route::new(
        Method::Patch,
        "/api/2.0/serving-endpoints/{name}/system-metrics-export-state",
        "Set whether system metrics of an endpoint are exported.",
        patch_metrics_export,
    );
    vec![
        notifications.takes::<NotificationsPatch>().answers::<Notifications>().audits("endpoint.notifications"),
        telemetry.takes::<TelemetryPatch>().answers::<EndpointDetailed>().audits("endpoint.telemetry"),
        metrics.takes::<MetricsExportPatch>().answers::<EndpointDetailed>().audits("endpoint.system_metrics_export"),
    ]
}

/// Who is told of updates.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
struct NotificationsPatch {
    /// In place of those there were; without it nothing changes.
    email_notifications: Option<EmailNotificationsSpec>,
}

/// Who is told of an endpoint's updates.
#[derive(Debug, Serialize, JsonSchema)]
struct Notifications {
    /// The endpoint.
    name: String,
    /// Mail addresses.
    email_notifications: EmailNotificationsSpec,
}

fn patch_notifications(request: Request) -> Result<Answer, Problem> {
    change(
        &request,
        form!(NotificationsPatch),
        |target, patch: NotificationsPatch, flaws| {
            let mut spec = target.document();
            spec.email_notifications = patch.email_notifications.or(spec.email_notifications);
            Trial::of(&request, target).kept(&spec, &target.record, flaws)?;
            Ok(Step::Document(spec))
        },
        |endpoint, _| Notifications {
            name: endpoint.name.to_string(),
            email_notifications: endpoint.document.email_notifications.clone().unwrap_or_default(),
        },
    )
}

/// The telemetry export.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
struct TelemetryPatch {
    /// In place of the one there was; without it there is none any more.
    telemetry_config: Option<TelemetrySpec>,
}

fn patch_telemetry(request: Request) -> Result<Answer, Problem> {
    change_and_show(&request, form!(TelemetryPatch), |target, patch: TelemetryPatch, mut flaws| {
        let mut spec = target.document();
        spec.telemetry_config = patch.telemetry_config;
        let external = spec.config.as_ref().map(config::entities).unwrap_or_default();
        if external.iter().any(|(_, entity)| entity.external_model.is_some()) {
            let text = "an endpoint of external models has no telemetry export";
            flaws.add([Finding::error(Pointer::root().key("telemetry_config"), text)]);
        }
        Trial::of(&request, target).kept(&spec, &target.record, flaws)?;
        Ok(Step::Document(spec))
    })
}

/// The export of system metrics.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
struct MetricsExportPatch {
    /// Without it the endpoint has no such setting any more.
    uc_system_metrics_export_state: Option<MetricsExportState>,
}

fn patch_metrics_export(request: Request) -> Result<Answer, Problem> {
    change_and_show(&request, form!(MetricsExportPatch), |target, patch: MetricsExportPatch, flaws| {
        let mut spec = target.document();
        spec.uc_system_metrics_export_state = patch.uc_system_metrics_export_state;
        Trial::of(&request, target).kept(&spec, &target.record, flaws)?;
        Ok(Step::Document(spec))
    })
}
