pub async fn count_contacts(campaign: ProgramData<Campaign>) -> Result<u64, JobError> {
    Ok(campaign.count)
}
pub struct CountContacts;
::executor::__private::unit_job_data!(CountContacts);
#[automatically_derived]
impl ::executor::Job for CountContacts {
    const NAME: &'static str = "count_contacts";
    type Output = <Result<u64, JobError> as ::executor::__private::JobReturn>::Output;
    type Error = <Result<u64, JobError> as ::executor::__private::JobReturn>::Error;
    type Returned = Result<u64, JobError>;
    type ProgramData = ProgramData<Campaign>;
    const OPTIONS: ::executor::__private::JobOptions = ::executor::__private::JobOptions::new();
    const NEEDS: ::executor::__private::Needs = ::executor::__private::Needs {
        doc: "",
        file: ::core::file!(),
        line: ::core::line!(),
        fields: &[],
        program_data: ::core::option::Option::Some(
            <ProgramData<Campaign> as ::executor::__private::ProgramDataParam>::NEED,
        ),
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
                    count_contacts(
                        <ProgramData<
                            Campaign,
                        > as ::executor::__private::ProgramDataParam>::from_attempt(
                            &__attempt,
                        )?,
                    ),
                )
                .await;
            ::executor::__private::encode::<Self>(__result)
        })
    }
}
#[automatically_derived]
impl<__L> ::executor::program::RunsAfter<__L, ()> for CountContacts {}
::executor::__private::inventory::submit! {
    ::executor::__private::JobDefinition::of:: < CountContacts > ()
}
