/// Sends one mail.
///
/// To one address.
pub(crate) async fn send_mail(
    target: String,
    mut pages: Vec<(u32, Option<String>)>,
) -> Result<usize, MailError> {
    pages.clear();
    Ok(target.len())
}
/// Sends one mail.
///
/// To one address.
#[derive(
    ::executor::__private::serde::Serialize,
    ::executor::__private::serde::Deserialize
)]
#[serde(crate = "::executor::__private::serde")]
pub(crate) struct SendMail {
    /// Where to.
    #[serde(rename = "to")]
    pub(crate) target: String,
    pub(crate) pages: Vec<(u32, Option<String>)>,
}
impl SendMail {
    /// The job's data.
    #[must_use]
    #[allow(dead_code, clippy::too_many_arguments)]
    pub(crate) fn new(target: String, pages: Vec<(u32, Option<String>)>) -> Self {
        Self { target, pages }
    }
}
#[automatically_derived]
impl ::executor::Job for SendMail {
    const NAME: &'static str = "send_mail";
    type Output = <Result<usize, MailError> as ::executor::__private::JobReturn>::Output;
    type Error = <Result<usize, MailError> as ::executor::__private::JobReturn>::Error;
    type Returned = Result<usize, MailError>;
    type ProgramData = ::executor::program::NoProgramData;
    const OPTIONS: ::executor::__private::JobOptions = ::executor::__private::JobOptions::new();
    const NEEDS: ::executor::__private::Needs = ::executor::__private::Needs {
        doc: "Sends one mail.\n\nTo one address.",
        file: ::core::file!(),
        line: ::core::line!(),
        fields: &[
            ::executor::__private::Field {
                name: "to",
                ty: "String",
                required: true,
                saved: false,
            },
            ::executor::__private::Field {
                name: "pages",
                ty: "Vec<(u32, Option<String>)>",
                required: true,
                saved: false,
            },
        ],
        program_data: ::core::option::Option::None,
        outputs: &[],
        states: &[],
        tx: ::core::option::Option::None,
    };
    fn run(
        __attempt: ::executor::__private::Attempt,
    ) -> ::executor::__private::JobFuture {
        ::std::boxed::Box::pin(async move {
            let __job = __attempt.job_data::<Self>()?;
            let __result = ::executor::__private::sendable(
                    send_mail(__job.target, __job.pages),
                )
                .await;
            ::executor::__private::encode::<Self>(__result)
        })
    }
}
#[automatically_derived]
impl<__L> ::executor::program::RunsAfter<__L, ()> for SendMail {}
#[automatically_derived]
impl ::executor::IntoProgram for SendMail {
    type Typed = ::executor::Program<(), (SendMail, ())>;
    fn into_program(self) -> Self::Typed {
        ::executor::Program::new(()).then(self)
    }
}
::executor::__private::inventory::submit! {
    ::executor::__private::JobDefinition::of:: < SendMail > ()
}
