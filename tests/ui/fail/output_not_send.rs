use std::rc::Rc;

use executor::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
struct Address(Rc<str>);

impl From<String> for Address {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        (*address.0).to_owned()
    }
}

#[job]
async fn look_up(name: String) -> Result<Address, JobError> {
    Ok(Address(name.into()))
}

fn main() {}
