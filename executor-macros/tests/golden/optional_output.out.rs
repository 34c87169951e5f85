pub async fn report(contacts: Option<Output<CountContacts>>) -> Result<(), JobError> {
    Ok(())
}
pub struct Report;
::executor::__private::unit_job_data!(Report);
#[automatically_derived]
impl ::executor::Job for Report {
    const NAME: &'static str = "report";
    type Output = <Result<(), JobError> as ::executor::__private::JobReturn>::Output;
    type Error = <Result<(), JobError> as ::executor::__private::JobReturn>::Error;
    type Returned = Result<(), JobError>;
    type ProgramData = ::executor::program::NoProgramData;
    const OPTIONS: ::executor::__private::JobOptions = ::executor::__private::JobOptions::new();
    const NEEDS: ::executor::__private::Needs = ::executor::__private::Needs {
        doc: "",
        file: ::core::file!(),
        line: ::core::line!(),
        fields: &[],
        program_data: ::core::option::Option::None,
        outputs: &[
            <Option<Output<CountContacts>> as ::executor::__private::OutputParam>::NEED,
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
                    report(
                        <Option<
                            Output<CountContacts>,
                        > as ::executor::__private::OutputParam>::from_attempt(
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
impl<__L> ::executor::program::RunsAfter<__L, ()> for Report {}
#[automatically_derived]
impl ::executor::IntoProgram for Report {
    type Typed = ::executor::Program<(), (Report, ())>;
    fn into_program(self) -> Self::Typed {
        ::executor::Program::new(()).then(self)
    }
}
::executor::__private::inventory::submit! {
    ::executor::__private::JobDefinition::of:: < Report > ()
}
