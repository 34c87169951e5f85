pub async fn warm_up(
    mailer: State<Mailer>,
    _: State<Pool>,
    ctx: Context,
) -> Result<(), JobError> {
    Ok(())
}
pub struct WarmUp;
::executor::__private::unit_job_data!(WarmUp);
#[automatically_derived]
impl ::executor::Job for WarmUp {
    const NAME: &'static str = "warm_up";
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
        outputs: &[],
        states: &[
            <State<Mailer> as ::executor::__private::StateParam>::NEED,
            <State<Pool> as ::executor::__private::StateParam>::NEED,
        ],
        tx: ::core::option::Option::None,
    };
    fn run(
        __attempt: ::executor::__private::Attempt,
    ) -> ::executor::__private::JobFuture {
        ::std::boxed::Box::pin(async move {
            let __job = __attempt.job_data::<Self>()?;
            let __result = ::executor::__private::sendable(
                    warm_up(
                        <State<
                            Mailer,
                        > as ::executor::__private::StateParam>::from_attempt(
                            &__attempt,
                        )?,
                        <State<
                            Pool,
                        > as ::executor::__private::StateParam>::from_attempt(
                            &__attempt,
                        )?,
                        <Context as ::executor::__private::ContextParam>::from_attempt(
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
impl<__L> ::executor::program::RunsAfter<__L, ()> for WarmUp {}
#[automatically_derived]
impl ::executor::IntoProgram for WarmUp {
    type Typed = ::executor::Program<(), (WarmUp, ())>;
    fn into_program(self) -> Self::Typed {
        ::executor::Program::new(()).then(self)
    }
}
::executor::__private::inventory::submit! {
    ::executor::__private::JobDefinition::of:: < WarmUp > ()
}
