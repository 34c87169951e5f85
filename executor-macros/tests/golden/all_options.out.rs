pub async fn send_it() -> Result<(), JobError> {
    Ok(())
}
#[derive(Clone, std::fmt::Debug)]
pub struct SendIt;
::my::executor::__private::unit_job_data!(SendIt);
#[automatically_derived]
impl ::my::executor::Job for SendIt {
    const NAME: &'static str = "send \"it\" 📨";
    type Output = <Result<(), JobError> as ::my::executor::__private::JobReturn>::Output;
    type Error = <Result<(), JobError> as ::my::executor::__private::JobReturn>::Error;
    type Returned = Result<(), JobError>;
    type ProgramData = ::my::executor::program::NoProgramData;
    const OPTIONS: ::my::executor::__private::JobOptions = ::my::executor::__private::JobOptions::new()
        .max_retries(8u32)
        .backoff_ms(1000u64, 300000u64)
        .timeout_ms(5400000u64)
        .concurrency(4u32)
        .concurrency_global(10u32)
        .rate(100u32, 60000u64)
        .burst(20)
        .strict_lease();
    const NEEDS: ::my::executor::__private::Needs = ::my::executor::__private::Needs {
        doc: "",
        file: ::core::file!(),
        line: ::core::line!(),
        fields: &[],
        program_data: ::core::option::Option::None,
        outputs: &[],
        states: &[],
        tx: ::core::option::Option::None,
    };
    fn run(
        __attempt: ::my::executor::__private::Attempt,
    ) -> ::my::executor::__private::JobFuture {
        ::std::boxed::Box::pin(async move {
            let __job = __attempt.job_data::<Self>()?;
            let __result = ::my::executor::__private::sendable(send_it()).await;
            ::my::executor::__private::encode::<Self>(__result)
        })
    }
}
#[automatically_derived]
impl<__L> ::my::executor::program::RunsAfter<__L, ()> for SendIt {}
#[automatically_derived]
impl ::my::executor::IntoProgram for SendIt {
    type Typed = ::my::executor::Program<(), (SendIt, ())>;
    fn into_program(self) -> Self::Typed {
        ::my::executor::Program::new(()).then(self)
    }
}
::my::executor::__private::inventory::submit! {
    ::my::executor::__private::JobDefinition::of:: < SendIt > ()
}
