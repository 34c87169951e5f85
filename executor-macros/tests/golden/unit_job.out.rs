/// Answers.
async fn ping() -> Result<(), JobError> {
    Ok(())
}
/// Answers.
struct Ping;
::executor::__private::unit_job_data!(Ping);
#[automatically_derived]
impl ::executor::Job for Ping {
    const NAME: &'static str = "ping";
    type Output = <Result<(), JobError> as ::executor::__private::JobReturn>::Output;
    type Error = <Result<(), JobError> as ::executor::__private::JobReturn>::Error;
    type Returned = Result<(), JobError>;
    type ProgramData = ::executor::program::NoProgramData;
    const OPTIONS: ::executor::__private::JobOptions = ::executor::__private::JobOptions::new();
    const NEEDS: ::executor::__private::Needs = ::executor::__private::Needs {
        doc: "Answers.",
        file: ::core::file!(),
        line: ::core::line!(),
        fields: &[],
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
            let __result = ::executor::__private::sendable(ping()).await;
            ::executor::__private::encode::<Self>(__result)
        })
    }
}
#[automatically_derived]
impl<__L> ::executor::program::RunsAfter<__L, ()> for Ping {}
#[automatically_derived]
impl ::executor::IntoProgram for Ping {
    type Typed = ::executor::Program<(), (Ping, ())>;
    fn into_program(self) -> Self::Typed {
        ::executor::Program::new(()).then(self)
    }
}
::executor::__private::inventory::submit! {
    ::executor::__private::JobDefinition::of:: < Ping > ()
}
