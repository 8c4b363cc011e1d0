//! The interface's description, made of its types.

use utoipa::{
    Modify, OpenApi,
    openapi::security::{SecurityRequirement, SecurityScheme},
};

use super::routes;

/// The name of the one way to prove who asks.
const CERTIFICATE: &str = "client-certificate";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Keyferry host interface",
        description = "For an acquirer's POS host (POSP): PIN translation, MACs, working keys, terminal names."
    ),
    paths(
        routes::translate,
        routes::translate_batch,
        routes::mac_generate,
        routes::mac_generate_batch,
        routes::mac_verify,
        routes::mac_verify_batch,
        routes::working_keys,
        routes::working_keys_confirm,
        routes::terminals,
        routes::name_terminals
    ),
    modifiers(&ClientCertificate)
)]
struct Description;

struct ClientCertificate;

impl Modify for ClientCertificate {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let description = Some("A TLS client certificate of the acquirer's root for POSPs.".to_owned());
        let scheme = SecurityScheme::MutualTls { description, deprecated: None, extensions: None };
        openapi.components.get_or_insert_default().add_security_scheme(CERTIFICATE, scheme);
        openapi.security = Some(vec![SecurityRequirement::new(CERTIFICATE, Vec::<String>::new())]);
    }
}

/// The description as JSON.
pub(super) fn description() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described() {
        let description = serde_json::to_value(description()).unwrap();
        let paths: Vec<_> = description["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = routes::PATHS.to_vec();
        expected.sort_unstable();
        assert_eq!(paths, expected);
        assert_eq!(description["components"]["securitySchemes"][CERTIFICATE]["type"], "mutualTLS");
        let item = &description["components"]["schemas"]["TranslateItem"]["properties"];
        assert_eq!(item["pan"]["type"], "string", "{item}");
    }
}
