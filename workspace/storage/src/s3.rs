//! An S3 client from `AWS_*` variables.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::{
    AmazonS3, AmazonS3Builder, AmazonS3ConfigKey as Key, AwsCredential, AwsCredentialProvider,
};
use object_store::{BackoffConfig, ClientConfigKey, CredentialProvider, RetryConfig};

/// Tries of one request, when `AWS_MAX_ATTEMPTS` does not say.
const ATTEMPTS: usize = 11;
/// A request that has not succeeded for so long is reported.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of one bucket. `Err` is the reason, with the remedy.
pub(crate) fn connect<'a>(
    bucket: &str,
    variables: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<AmazonS3, String> {
    let mut builder = AmazonS3Builder::new();
    let mut attempts = ATTEMPTS;
    let mut metadata_service = true;
    for (name, value) in variables {
        match name {
            "AWS_MAX_ATTEMPTS" => attempts = parse_attempts(value)?,
            "AWS_EC2_METADATA_DISABLED" => metadata_service = !value.eq_ignore_ascii_case("true"),
            name if name.starts_with("AWS_") => {
                // Other tools' AWS_ variables are none of our business.
                if let Ok(key) = name.to_ascii_lowercase().parse::<Key>() {
                    builder = builder.with_config(key, value);
                }
            }
            _ => {}
        }
    }
    builder = builder.with_bucket_name(bucket);
    check_endpoint(&builder)?;
    if !has_keys(&builder) {
        if !metadata_service && !names_role(&builder) {
            return Err("no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY \
                        (the instance's role is not asked for, as AWS_EC2_METADATA_DISABLED is true)"
                .into());
        }
        // A machine without a role must not be asked for one for a minute: credentials come from a
        // client of their own that gives up early.
        let quick = RetryConfig { retry_timeout: Duration::from_secs(5), ..retry(3) };
        let asking = builder.clone().with_retry(quick).build().map_err(|error| settings(&error))?;
        builder = builder.with_credentials(Arc::new(Role(asking.credentials().clone())));
    }
    builder.with_retry(retry(attempts)).build().map_err(|error| settings(&error))
}

/// Credentials that some service must be asked for; that it has none is told from other failures.
#[derive(Debug)]
struct Role(AwsCredentialProvider);

/// The store named by errors of [`Role`].
pub(crate) const ROLE: &str = "S3 credentials";

#[async_trait]
impl CredentialProvider for Role {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.0
            .get_credential()
            .await
            .map_err(|error| object_store::Error::Generic { store: ROLE, source: Box::new(error) })
    }
}

fn parse_attempts(value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(attempts) if attempts > 0 => Ok(attempts),
        _ => Err(format!("AWS_MAX_ATTEMPTS is `{value}`: give a number of at least 1")),
    }
}

fn retry(attempts: usize) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: attempts - 1,
        retry_timeout: RETRY_TIMEOUT,
    }
}

/// An http:// endpoint without leave to use it fails in every request, minutes later.
fn check_endpoint(builder: &AmazonS3Builder) -> Result<(), String> {
    let endpoint =
        builder.get_config_value(&Key::S3Endpoint).or_else(|| builder.get_config_value(&Key::Endpoint));
    let Some(endpoint) = endpoint else { return Ok(()) };
    let url = url::Url::parse(&endpoint)
        .map_err(|error| format!("AWS_ENDPOINT_URL is `{endpoint}`, which is no URL: {error}"))?;
    let allowed = builder.get_config_value(&Key::Client(ClientConfigKey::AllowHttp));
    match url.scheme() {
        "https" => Ok(()),
        "http" if allowed.as_deref() == Some("true") => Ok(()),
        "http" => Err(format!(
            "AWS_ENDPOINT_URL is `{endpoint}`, without encryption: set AWS_ALLOW_HTTP=true if that is meant"
        )),
        _ => Err(format!("AWS_ENDPOINT_URL is `{endpoint}`: give an https:// or http:// URL")),
    }
}

/// Whether requests are signed with keys from the environment, or not at all.
fn has_keys(builder: &AmazonS3Builder) -> bool {
    builder.get_config_value(&Key::AccessKeyId).is_some()
        || builder.get_config_value(&Key::SecretAccessKey).is_some()
        || builder.get_config_value(&Key::SkipSignature).as_deref() == Some("true")
}

/// Whether some variable says which role to take on.
fn names_role(builder: &AmazonS3Builder) -> bool {
    [Key::WebIdentityTokenFile, Key::ContainerCredentialsRelativeUri, Key::ContainerCredentialsFullUri]
        .iter()
        .any(|key| builder.get_config_value(key).is_some())
}

fn settings(error: &object_store::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("Generic S3 error: ").unwrap_or(&text);
    match text {
        "Missing AccessKeyId" => "AWS_SECRET_ACCESS_KEY is set but AWS_ACCESS_KEY_ID is not".into(),
        "Missing SecretAccessKey" => "AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not".into(),
        text => format!("{text}; check the AWS_* variables"),
    }
}
