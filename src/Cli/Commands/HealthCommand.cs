using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Hosting;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Asks a service how it is, for health checks of containers.</summary>
internal sealed class HealthCommand : CommandBase
{
    // Less than what orchestrators wait for a check.
    private const double DefaultSeconds = 3;

    private readonly Argument<string> _url = new("URL")
    {
        HelpName = "URL",
        Description = "Where the service listens, such as http://127.0.0.1:5070 or http://unix:/run/ilgpu-loader.sock.",
        DefaultValueFactory = _ => HealthProbe.DefaultUrl,
    };

    private readonly Option<bool> _ready = new("--ready")
    {
        Description = "Ask whether all required models are there, rather than whether the process is well.",
    };

    private readonly Option<double> _timeout = new("--timeout")
    {
        HelpName = "SECONDS",
        Description = "How long an answer may take.",
        DefaultValueFactory = _ => DefaultSeconds,
    };

    /// <inheritdoc/>
    public override string Name => "health";

    /// <inheritdoc/>
    protected override string Description => "Asks a service that runs (serve) how it is; ends with 8 where it does not answer, or is not well.";

    /// <inheritdoc/>
    public override string Example => "health http://127.0.0.1:5070 --ready";

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_url);
        command.Add(_ready);
        command.Add(_timeout);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var seconds = parsed.GetValue(_timeout);
        if (seconds is not (>= 0.001 and <= 3600))
        {
            throw new UsageException("--timeout takes seconds from 0.001 to 3600.");
        }

        HealthAnswer answer;
        var ready = parsed.GetValue(_ready);
        try
        {
            answer = await HealthProbe.AskAsync(parsed.GetValue(_url)!, ready, TimeSpan.FromSeconds(seconds), cancellationToken).ConfigureAwait(false);
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }

        if (console.Json)
        {
            var document = new HealthDocument(answer.Url, ready, answer.IsHealthy, answer.StatusCode, answer.Status, answer.Problem);
            JsonOutput.Write(console.Out, document, CliJsonContext.Default.HealthDocument);
        }
        else if (answer.Problem is { } problem)
        {
            console.Error.WriteLine($"error: {answer.Url}: {Quoted.Plain(problem)}");
        }
        else
        {
            console.Out.WriteLine(FormattableString.Invariant($"{answer.Url}: {(answer.Status is { } status ? Quoted.Plain(status) : "no status")} ({answer.StatusCode})"));
        }

        return answer.IsHealthy ? ExitCodes.Success : ExitCodes.Network;
    }
}
