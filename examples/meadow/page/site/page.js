// Sends the lines as CSV and shows the page with them; the cookie says who it is.
document.querySelector("#tell").addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch("/api/readings", { method: "POST", body: new FormData(event.target).get("lines") });
    if (answer.ok)
        location.reload();
    else
        alert((await answer.json()).error);
});
