//! The interface's description, made of its types.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        RefOr, Required,
        path::{Operation, ParameterIn, PathItem},
        security::{SecurityRequirement, SecurityScheme},
    },
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
    modifiers(&ClientCertificate, &Operations)
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

/// What is alike in all operations: OpenAPI demands a description of each answer, and each parameter that is not in the
/// body may stand in the query.
struct Operations;

impl Modify for Operations {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for operation in openapi.paths.paths.values_mut().flat_map(operations) {
            for (status, answer) in &mut operation.responses.responses {
                if let RefOr::T(answer) = answer {
                    answer.description = match status.as_str() {
                        "4XX" => "Refused: its code says why.",
                        "5XX" => "The server failed; the same request may succeed later.",
                        _ => "Done.",
                    }
                    .into();
                }
            }
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter {
                    parameter.parameter_in = ParameterIn::Query;
                    parameter.required = Required::False;
                }
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post].into_iter().flatten()
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

    /// What OpenAPI 3.1 demands and generators of clients stumble over.
    #[test]
    fn each_answer_is_described_and_each_parameter_stands_in_the_query() {
        let description = serde_json::to_value(description()).unwrap();
        let paths = description["paths"].as_object().unwrap().iter();
        let mut parameters = 0;
        for (path, operation) in paths.flat_map(|(path, item)| {
            item.as_object().unwrap().values().map(move |operation| (path, operation))
        }) {
            for (status, answer) in operation["responses"].as_object().unwrap() {
                assert!(
                    answer["description"].as_str().is_some_and(|text| !text.is_empty()),
                    "{path} {status}"
                );
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert_eq!(
                    (&parameter["in"], parameter["required"].as_bool()),
                    (&"query".into(), Some(false))
                );
                parameters += 1;
            }
        }
        assert_eq!(parameters, 4);
    }

    #[test]
    fn what_is_refused_for_its_form_is_described_so() {
        let description = serde_json::to_value(description()).unwrap();
        let schemas = &description["components"]["schemas"];
        let item = &schemas["TranslateItem"]["properties"];
        assert_eq!((&item["slot"]["minimum"], &item["slot"]["maximum"]), (&0.into(), &99.into()));
        assert_eq!(item["pan"]["pattern"], "^[0-9]{13,19}$");
        assert_eq!(item["pin_block"]["pattern"], "^([0-9A-Fa-f]{16}){1,2}$");
        let items = &schemas["Batch_TranslateItem"]["properties"]["items"];
        assert_eq!((&items["minItems"], &items["maxItems"]), (&1.into(), &1024.into()));
    }
}
