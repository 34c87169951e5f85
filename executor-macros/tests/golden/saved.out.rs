pub async fn export(
    file: String,
    mut page: Saved<u32>,
    cursor: Saved<Cursor>,
    start: crate::Saved<Option<u64>>,
) -> Result<(), JobError> {
    page.set(1).await
}
#[derive(
    ::executor::__private::serde::Serialize,
    ::executor::__private::serde::Deserialize
)]
#[serde(crate = "::executor::__private::serde")]
pub struct Export {
    pub file: String,
    /// The next page.
    #[serde(default = "::core::default::Default::default")]
    pub page: u32,
    #[serde(default = "::core::default::Default::default")]
    pub cursor: Cursor,
    #[serde(default = "first", rename = "from")]
    pub start: Option<u64>,
}
impl Export {
    /// The job's data with its required fields; the others have their defaults.
    #[must_use]
    #[allow(dead_code, clippy::too_many_arguments)]
    pub fn new(file: String) -> Self {
        Self {
            file,
            page: ::core::default::Default::default(),
            cursor: ::core::default::Default::default(),
            start: first(),
        }
    }
}
#[automatically_derived]
impl ::executor::Job for Export {
    const NAME: &'static str = "export";
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
                name: "file",
                ty: "String",
                required: true,
                saved: false,
            },
            ::executor::__private::Field {
                name: "page",
                ty: "u32",
                required: false,
                saved: true,
            },
            ::executor::__private::Field {
                name: "cursor",
                ty: "Cursor",
                required: false,
                saved: true,
            },
            ::executor::__private::Field {
                name: "from",
                ty: "Option<u64>",
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
                    export(
                        __job.file,
                        <Saved<
                            u32,
                        > as ::executor::__private::SavedParam>::from_field(
                            &__attempt,
                            "page",
                            __job.page,
                        ),
                        <Saved<
                            Cursor,
                        > as ::executor::__private::SavedParam>::from_field(
                            &__attempt,
                            "cursor",
                            __job.cursor,
                        ),
                        <crate::Saved<
                            Option<u64>,
                        > as ::executor::__private::SavedParam>::from_field(
                            &__attempt,
                            "from",
                            __job.start,
                        ),
                    ),
                )
                .await;
            ::executor::__private::encode::<Self>(__result)
        })
    }
}
#[automatically_derived]
impl<__L> ::executor::program::RunsAfter<__L, ()> for Export {}
#[automatically_derived]
impl ::executor::IntoProgram for Export {
    type Typed = ::executor::Program<(), (Export, ())>;
    fn into_program(self) -> Self::Typed {
        ::executor::Program::new(()).then(self)
    }
}
::executor::__private::inventory::submit! {
    ::executor::__private::JobDefinition::of:: < Export > ()
}
