pub async fn r#match(r#type: String, r#fn: Saved<u32>) -> Result<(), JobError> {
    Ok(())
}
#[derive(
    ::executor::__private::serde::Serialize,
    ::executor::__private::serde::Deserialize
)]
#[serde(crate = "::executor::__private::serde")]
pub struct Match {
    pub r#type: String,
    #[serde(default = "::core::default::Default::default")]
    pub r#fn: u32,
}
impl Match {
    /// The job's data with its required fields; the others have their defaults.
    #[must_use]
    #[allow(dead_code, clippy::too_many_arguments)]
    pub fn new(r#type: String) -> Self {
        Self {
            r#type,
            r#fn: ::core::default::Default::default(),
        }
    }
}
#[automatically_derived]
impl ::executor::Job for Match {
    const NAME: &'static str = "match";
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
                name: "type",
                ty: "String",
                required: true,
                saved: false,
            },
            ::executor::__private::Field {
                name: "fn",
                ty: "u32",
                required: false,
                saved: true,
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
                    r#match(
                        __job.r#type,
                        <Saved<
                            u32,
                        > as ::executor::__private::SavedParam>::from_field(
                            &__attempt,
                            "fn",
                            __job.r#fn,
                        ),
                    ),
                )
                .await;
            ::executor::__private::encode::<Self>(__result)
        })
    }
}
#[automatically_derived]
impl<__L> ::executor::program::RunsAfter<__L, ()> for Match {}
#[automatically_derived]
impl ::executor::IntoProgram for Match {
    type Typed = ::executor::Program<(), (Match, ())>;
    fn into_program(self) -> Self::Typed {
        ::executor::Program::new(()).then(self)
    }
}
::executor::__private::inventory::submit! {
    ::executor::__private::JobDefinition::of:: < Match > ()
}
