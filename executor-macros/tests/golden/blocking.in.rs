#[job(blocking)]
fn resize(image: String, width: Saved<u32>, store: State<Store>) -> Result<u64, ImageError> {
    store.resize(image)
}
