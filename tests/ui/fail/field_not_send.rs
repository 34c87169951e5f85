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
async fn send_mail(to: Address) -> Result<(), JobError> {
    println!("{}", to.0);
    Ok(())
}

fn main() {}
