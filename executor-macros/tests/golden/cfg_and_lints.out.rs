/// Only there with mail.
#[cfg(feature = "mail")]
#[expect(clippy::unused_async, reason = "an example")]
#[tracing::instrument]
pub async fn mail(size: Option<u32>) -> Result<(), JobError> {
    Ok(())
}
#[cfg(feature = "mail")]
/// Only there with mail.
#[allow(clippy::unused_async, reason = "an example")]
#[derive(
    ::executor::__private::serde::Serialize,
    ::executor::__private::serde::Deserialize
)]
#[serde(crate = "::executor::__private::serde")]
pub struct Mail {
    #[serde(default = "::core::default::Default::default")]
    pub size: Option<u32>,
}
#[cfg(feature = "mail")]
#[allow(clippy::unused_async, reason = "an example")]
impl Mail {
    /// The job's data with its required fields; the others have their defaults.
    #[must_use]
    #[allow(dead_code, clippy::too_many_arguments)]
    pub fn new() -> Self {
        Self {
            size: ::core::default::Default::default(),
        }
    }
}
#[cfg(feature = "mail")]
#[automatically_derived]
impl ::core::default::Default for Mail {
    fn default() -> Self {
        Self::new()
    }
}
#[cfg(feature = "mail")]
#[allow(clippy::unused_async, reason = "an example")]
#[automatically_derived]
impl ::executor::Job for Mail {
    const NAME: &'static str = "mail";
    type Output = <Result<(), JobError> as ::executor::__private::JobReturn>::Output;
    type Error = <Result<(), JobError> as ::executor::__private::JobReturn>::Error;
    type Returned = Result<(), JobError>;
    type ProgramData = ::executor::program::NoProgramData;
    const OPTIONS: ::executor::__private::JobOptions = ::executor::__private::JobOptions::new();
    const NEEDS: ::executor::__private::Needs = ::executor::__private::Needs {
        doc: "Only there with mail.",
        file: ::core::file!(),
        line: ::core::line!(),
        fields: &[
            ::executor::__private::Field {
                name: "size",
                ty: "Option<u32>",
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
            let __result = ::executor::__private::sendable(mail(__job.size)).await;
            ::executor::__private::encode::<Self>(__result)
        })
    }
}
#[cfg(feature = "mail")]
#[automatically_derived]
impl<__L> ::executor::program::RunsAfter<__L, ()> for Mail {}
#[cfg(feature = "mail")]
#[automatically_derived]
impl ::executor::IntoProgram for Mail {
    type Typed = ::executor::Program<(), (Mail, ())>;
    fn into_program(self) -> Self::Typed {
        ::executor::Program::new(()).then(self)
    }
}
#[cfg(feature = "mail")]
::executor::__private::inventory::submit! {
    ::executor::__private::JobDefinition::of:: < Mail > ()
}
#[cfg(unix)]
#[allow(deprecated)]
async fn signal() -> Result<(), JobError> {
    Ok(())
}
#[cfg(unix)]
#[allow(deprecated)]
struct Signal;
#[cfg(unix)]
::executor::__private::unit_job_data!(Signal);
#[cfg(unix)]
#[allow(deprecated)]
#[automatically_derived]
impl ::executor::Job for Signal {
    const NAME: &'static str = "signal";
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
        states: &[],
        tx: ::core::option::Option::None,
    };
    fn run(
        __attempt: ::executor::__private::Attempt,
    ) -> ::executor::__private::JobFuture {
        ::std::boxed::Box::pin(async move {
            let __job = __attempt.job_data::<Self>()?;
            let __result = ::executor::__private::sendable(signal()).await;
            ::executor::__private::encode::<Self>(__result)
        })
    }
}
#[cfg(unix)]
#[automatically_derived]
impl<__L> ::executor::program::RunsAfter<__L, ()> for Signal {}
#[cfg(unix)]
#[automatically_derived]
impl ::executor::IntoProgram for Signal {
    type Typed = ::executor::Program<(), (Signal, ())>;
    fn into_program(self) -> Self::Typed {
        ::executor::Program::new(()).then(self)
    }
}
#[cfg(unix)]
::executor::__private::inventory::submit! {
    ::executor::__private::JobDefinition::of:: < Signal > ()
}
