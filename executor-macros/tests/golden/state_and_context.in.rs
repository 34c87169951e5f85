#[job]
pub async fn warm_up(mailer: State<Mailer>, _: State<Pool>, ctx: Context) -> Result<(), JobError> {
    Ok(())
}
