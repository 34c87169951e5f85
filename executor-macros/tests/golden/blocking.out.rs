fn resize(
    image: String,
    width: Saved<u32>,
    store: State<Store>,
) -> Result<u64, ImageError> {
    store.resize(image)
}
#[derive(
    ::executor::__private::serde::Serialize,
    ::executor::__private::serde::Deserialize
)]
#[serde(crate = "::executor::__private::serde")]
struct Resize {
    image: String,
    #[serde(default = "::core::default::Default::default")]
    width: u32,
}
impl Resize {
    /// The job's data with its required fields; the others have their defaults.
    #[must_use]
    #[allow(dead_code, clippy::too_many_arguments)]
    fn new(image: String) -> Self {
        Self {
            image,
            width: ::core::default::Default::default(),
        }
    }
}
#[automatically_derived]
impl ::executor::Job for Resize {
    const NAME: &'static str = "resize";
    type Output = <Result<u64, ImageError> as ::executor::__private::JobReturn>::Output;
    type Error = <Result<u64, ImageError> as ::executor::__private::JobReturn>::Error;
    type Returned = Result<u64, ImageError>;
    type ProgramData = ::executor::program::NoProgramData;
    const OPTIONS: ::executor::__private::JobOptions = ::executor::__private::JobOptions::new()
        .blocking();
    const NEEDS: ::executor::__private::Needs = ::executor::__private::Needs {
        doc: "",
        file: ::core::file!(),
        line: ::core::line!(),
        fields: &[
            ::executor::__private::Field {
                name: "image",
                ty: "String",
                required: true,
                saved: false,
            },
            ::executor::__private::Field {
                name: "width",
                ty: "u32",
                required: false,
                saved: true,
            },
        ],
        program_data: ::core::option::Option::None,
        outputs: &[],
        states: &[<State<Store> as ::executor::__private::StateParam>::NEED],
        tx: ::core::option::Option::None,
    };
    fn run(
        __attempt: ::executor::__private::Attempt,
    ) -> ::executor::__private::JobFuture {
        ::std::boxed::Box::pin(async move {
            let __job = __attempt.job_data::<Self>()?;
            let __argument0 = __job.image;
            let __argument1 = <Saved<
                u32,
            > as ::executor::__private::SavedParam>::from_field(
                &__attempt,
                "width",
                __job.width,
            );
            let __argument2 = <State<
                Store,
            > as ::executor::__private::StateParam>::from_attempt(&__attempt)?;
            let __result = ::executor::__private::run_blocking(
                    &__attempt,
                    move || resize(__argument0, __argument1, __argument2),
                )
                .await?;
            ::executor::__private::encode::<Self>(__result)
        })
    }
}
#[automatically_derived]
impl<__L> ::executor::program::RunsAfter<__L, ()> for Resize {}
#[automatically_derived]
impl ::executor::IntoProgram for Resize {
    type Typed = ::executor::Program<(), (Resize, ())>;
    fn into_program(self) -> Self::Typed {
        ::executor::Program::new(()).then(self)
    }
}
::executor::__private::inventory::submit! {
    ::executor::__private::JobDefinition::of:: < Resize > ()
}
