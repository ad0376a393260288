// A web application that answers from a loaded tensor, and only when it is there. In the repository's root:
//   dotnet run -c Release --project samples/HostedService
//   curl http://127.0.0.1:5071/health/ready
//   curl http://127.0.0.1:5071/embedding/17
// What is loaded, and onto which device, is in appsettings.json; IlgpuLoader__Models__tiny-llama__Path=/models/llama in the
// environment loads something else.
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Hosting;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;

const string model = "tiny-llama";
const string table = "model.embed_tokens.weight";

var builder = WebApplication.CreateBuilder(new WebApplicationOptions
{
    Args = args,
    // The settings lie beside the program, wherever it is started.
    ContentRootPath = AppContext.BaseDirectory,
});
builder.Services.AddIlgpuLoader(builder.Configuration.GetSection(IlgpuLoaderOptions.SectionName));
builder.Services.AddProblemDetails();

var app = builder.Build();
app.UseExceptionHandler();
app.UseStatusCodePages();

// Whether the process is well, and whether it has what it needs to answer: whoever restarts it asks the one, whoever sends it requests the other.
app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = check => check.Tags.Contains("live") });
app.MapHealthChecks("/health/ready", new HealthCheckOptions { Predicate = check => check.Tags.Contains("ready") });

app.MapGet("/embedding/{token:long}", (long token, HttpResponse response, [FromKeyedServices(model)] IHostedModel embeddings) =>
{
    // No request waits for a load: who asks too early hears it at once, and when to come again.
    if (!embeddings.TryLease(out var lease))
    {
        response.Headers.RetryAfter = "1";
        return Results.Problem($"The model is {embeddings.Status.State}.", statusCode: StatusCodes.Status503ServiceUnavailable);
    }

    // As long as the lease is there, neither a reload nor an unload touches the tensor.
    using (lease)
    {
        var weights = lease[table];
        if (token < 0 || token >= weights.Shape[0])
        {
            return Results.Problem($"There is no token {token}; there are 0 to {weights.Shape[0] - 1}.", statusCode: StatusCodes.Status404NotFound);
        }

        // One row, from the device that it is on.
        using var row = weights.Select(0, token);
        using var values = row.To(DType.F32, HostDevice.Shared);
        return Results.Ok(new { token, modelVersion = lease.Version, values = values.AsReadOnlySpan<float>().ToArray() });
    }
});

await app.RunAsync();
