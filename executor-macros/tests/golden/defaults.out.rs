pub async fn import(limit: Option<u32>, page: u32, size: usize) -> Result<(), JobError> {
    Ok(())
}
#[derive(
    ::executor::__private::serde::Serialize,
    ::executor::__private::serde::Deserialize,
    Clone,
    Debug
)]
#[serde(crate = "::executor::__private::serde")]
pub struct Import {
    #[serde(default = "::core::default::Default::default")]
    pub limit: Option<u32>,
    #[serde(default)]
    pub page: u32,
    #[serde(default = "settings::size", alias = "batch")]
    pub size: usize,
}
impl Import {
    /// The job's data with its required fields; the others have their defaults.
    #[must_use]
    #[allow(dead_code, clippy::too_many_arguments)]
    pub fn new() -> Self {
        Self {
            limit: ::core::default::Default::default(),
            page: ::core::default::Default::default(),
            size: settings::size(),
        }
    }
}
#[automatically_derived]
impl ::core::default::Default for Import {
    fn default() -> Self {
        Self::new()
    }
}
#[automatically_derived]
impl ::executor::Job for Import {
    const NAME: &'static str = "import";
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
                name: "limit",
                ty: "Option<u32>",
                required: false,
                saved: false,
            },
            ::executor::__private::Field {
                name: "page",
                ty: "u32",
                required: false,
                saved: false,
            },
            ::executor::__private::Field {
                name: "size",
                ty: "usize",
                required: false,
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
                    import(__job.limit, __job.page, __job.size),
                )
                .await;
            ::executor::__private::encode::<Self>(__result)
        })
    }
}
#[automatically_derived]
impl<__L> ::executor::program::RunsAfter<__L, ()> for Import {}
#[automatically_derived]
impl ::executor::IntoProgram for Import {
    type Typed = ::executor::Program<(), (Import, ())>;
    fn into_program(self) -> Self::Typed {
        ::executor::Program::new(()).then(self)
    }
}
::executor::__private::inventory::submit! {
    ::executor::__private::JobDefinition::of:: < Import > ()
}
