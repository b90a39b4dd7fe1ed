//! The way to a coordinator, for the command line.

mod lasting;

use std::time::Duration;

use tonic::{Code, Status, transport::Channel};
use twinspire_proto::{CODE_KEY, v1::jobs_client::JobsClient};

pub(crate) use lasting::{Lasting, may_pass};

use crate::ControlError;

/// How long an address may take to answer.
const CONNECT: Duration = Duration::from_secs(5);

/// A coordinator that sends nothing for so long is asked whether it is still there, and has as long
/// to answer: a machine that is gone says no goodbye to those who watch a job.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// A client of the jobs service.
pub(crate) type Jobs = JobsClient<Channel>;

/// Largest message that is taken: a list of many thousand jobs.
const LARGEST: usize = 256 << 20;

/// Connects to the first of `addresses` that answers.
pub(crate) async fn connect(addresses: &[String]) -> Result<Jobs, ControlError> {
    let mut why = "no address was given".to_owned();
    for address in addresses {
        let url = if address.contains("://") { address.clone() } else { format!("http://{address}") };
        let endpoint = match tonic::transport::Endpoint::from_shared(url) {
            Ok(endpoint) => endpoint
                .connect_timeout(CONNECT)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(KEEPALIVE)
                .keep_alive_timeout(KEEPALIVE),
            Err(error) => {
                why = format!("{address} is no address ({error}); write it as http://HOST:7070");
                continue;
            }
        };
        match endpoint.connect().await {
            Ok(channel) => return Ok(JobsClient::new(channel).max_decoding_message_size(LARGEST)),
            Err(error) => why = root_of(&error),
        }
    }
    Err(ControlError::Unreachable { addresses: addresses.join(", "), why })
}

/// What a coordinator said no with.
impl From<Status> for ControlError {
    fn from(status: Status) -> ControlError {
        let code = status.metadata().get(CODE_KEY).and_then(|code| code.to_str().ok());
        // Codes are texts of the program: of one that this version does not know, there is none.
        let code = code.and_then(known).unwrap_or(match status.code() {
            Code::Unavailable => "TW5013",
            _ => "TW5017",
        });
        let mistake = matches!(
            status.code(),
            Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition
        );
        ControlError::Answered { code, mistake, message: status.message().to_owned() }
    }
}

/// A code that this version knows.
pub(crate) fn known(code: &str) -> Option<&'static str> {
    let ours = crate::CODES.iter().chain(twinspire_control::CODES).chain(twinspire_store::CODES);
    let all = ours.chain(twinspire_storage::CODES).chain(twinspire_checkpoint::CODES);
    all.map(|(known, _)| *known).find(|known| *known == code)
}

/// The cause behind an error: `transport error` says nothing.
fn root_of(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
