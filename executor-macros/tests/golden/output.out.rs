pub async fn send_campaign(
    contacts: Output<CountContacts>,
    _: executor::Output<mail::Render>,
    subject: String,
) -> Result<(), JobError> {
    Ok(())
}
#[derive(
    ::executor::__private::serde::Serialize,
    ::executor::__private::serde::Deserialize
)]
#[serde(crate = "::executor::__private::serde")]
pub struct SendCampaign {
    pub subject: String,
}
impl SendCampaign {
    /// The job's data.
    #[must_use]
    #[allow(dead_code, clippy::too_many_arguments)]
    pub fn new(subject: String) -> Self {
        Self { subject }
    }
}
#[automatically_derived]
impl ::executor::Job for SendCampaign {
    const NAME: &'static str = "send_campaign";
    type Output = <Result<(), JobError> as ::executor::__private::JobReturn>::Output;
    type Error = <Result<(), JobError> as ::executor::__private::JobReturn>::Error;
    type Returned = Result<(), JobError>;
    type ProgramData = ::executor::program::NoProgramData;
    const OPTIONS: ::executor::__private::JobOptions = ::executor::__private::JobOptions::new();
    const NEEDS: ::executor::__private::Needs = ::executor::__private::Needs {
        doc: "",
        file: ::core::file!(),
        line: ::core::line!(),
        fields: &[
            ::executor::__private::Field {
                name: "subject",
                ty: "String",
                required: true,
                saved: false,
            },
        ],
        program_data: ::core::option::Option::None,
        outputs: &[
            <Output<CountContacts> as ::executor::__private::OutputParam>::NEED,
            <executor::Output<mail::Render> as ::executor::__private::OutputParam>::NEED,
        ],
        states: &[],
        tx: ::core::option::Option::None,
    };
    fn run(
        __attempt: ::executor::__private::Attempt,
    ) -> ::executor::__private::JobFuture {
        ::std::boxed::Box::pin(async move {
            let __job = __attempt.job_data::<Self>()?;
            let __result = ::executor::__private::sendable(
                    send_campaign(
                        <Output<
                            CountContacts,
                        > as ::executor::__private::OutputParam>::from_attempt(
                            &__attempt,
                        )?,
                        <executor::Output<
                            mail::Render,
                        > as ::executor::__private::OutputParam>::from_attempt(
                            &__attempt,
                        )?,
                        __job.subject,
                    ),
                )
                .await;
            ::executor::__private::encode::<Self>(__result)
        })
    }
}
#[automatically_derived]
impl<__L, __I0, __I1> ::executor::program::RunsAfter<__L, (__I0, __I1)> for SendCampaign
where
    __L: ::executor::program::Contains<
        <Output<CountContacts> as ::executor::__private::OutputParam>::Job,
        __I0,
    >,
    __L: ::executor::program::Contains<
        <executor::Output<mail::Render> as ::executor::__private::OutputParam>::Job,
        __I1,
    >,
{}
::executor::__private::inventory::submit! {
    ::executor::__private::JobDefinition::of:: < SendCampaign > ()
}
