pub async fn send_page(
    page: u32,
    contacts: jobs::Output<CountContacts>,
) -> Result<(), jobs::JobError> {
    Ok(())
}
#[derive(jobs::__private::serde::Serialize, jobs::__private::serde::Deserialize)]
#[serde(crate = "jobs::__private::serde")]
pub struct SendPage {
    pub page: u32,
}
impl SendPage {
    /// The job's data.
    #[must_use]
    #[allow(dead_code, clippy::too_many_arguments)]
    pub fn new(page: u32) -> Self {
        Self { page }
    }
}
#[automatically_derived]
impl jobs::Job for SendPage {
    const NAME: &'static str = "send_page";
    type Output = <Result<(), jobs::JobError> as jobs::__private::JobReturn>::Output;
    type Error = <Result<(), jobs::JobError> as jobs::__private::JobReturn>::Error;
    type Returned = Result<(), jobs::JobError>;
    type ProgramData = jobs::program::NoProgramData;
    const OPTIONS: jobs::__private::JobOptions = jobs::__private::JobOptions::new()
        .backoff_ms(10000u64, 10000u64);
    const NEEDS: jobs::__private::Needs = jobs::__private::Needs {
        doc: "",
        file: ::core::file!(),
        line: ::core::line!(),
        fields: &[
            jobs::__private::Field {
                name: "page",
                ty: "u32",
                required: true,
                saved: false,
            },
        ],
        program_data: ::core::option::Option::None,
        outputs: &[<jobs::Output<CountContacts> as jobs::__private::OutputParam>::NEED],
        states: &[],
        tx: ::core::option::Option::None,
    };
    fn run(__attempt: jobs::__private::Attempt) -> jobs::__private::JobFuture {
        ::std::boxed::Box::pin(async move {
            let __job = __attempt.job_data::<Self>()?;
            let __result = jobs::__private::sendable(
                    send_page(
                        __job.page,
                        <jobs::Output<
                            CountContacts,
                        > as jobs::__private::OutputParam>::from_attempt(&__attempt)?,
                    ),
                )
                .await;
            jobs::__private::encode::<Self>(__result)
        })
    }
}
#[automatically_derived]
impl<__L, __I0> jobs::program::RunsAfter<__L, (__I0,)> for SendPage
where
    __L: jobs::program::Contains<
        <jobs::Output<CountContacts> as jobs::__private::OutputParam>::Job,
        __I0,
    >,
{}
jobs::__private::inventory::submit! {
    jobs::__private::JobDefinition::of:: < SendPage > ()
}
