using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Hosting;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Loads models and keeps them, with an HTTP face, until it is asked to stop.</summary>
internal sealed class ServeCommand : CommandBase
{
    private readonly Argument<string[]> _paths = new("PATH")
    {
        Description = "Checkpoint files, folders or indexes, or addresses of them (hf://, ms://, https://, s3://); each is a model under its own name, beside those that are configured.",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<string?> _urls = new("--urls")
    {
        Description = "Where to listen, with ; between several. Others than this machine reach what is no loopback address, which takes a token. Default: http://127.0.0.1:5070.",
        HelpName = "URLS",
    };

    private readonly Option<string?> _configuration = new Option<string?>("--config")
    {
        Description = "A JSON file with the section IlgpuLoader. Variables such as ILGPU_LOADER_Models__llama__Path win over it, and options over both.",
        HelpName = "FILE",
    }.LocalOnly();

    private readonly Option<string?> _device = new("--device")
    {
        Description = "The device of all models, one of 'devices' or several with commas between them; auto where none is configured.",
        HelpName = "auto|host|cuda:N|opencl:N",
    };

    private readonly Option<string?> _dtype = new("--dtype")
    {
        Description = "The dtype that floating tensors of all models get, as with 'load'.",
        HelpName = "DTYPE",
    };

    private readonly Option<bool> _watch = new("--watch")
    {
        Description = "Reload each model when another complete checkpoint is at its path.",
    };

    private readonly Option<string?> _tokenFile = new Option<string?>("--token-file")
    {
        Description = "A file with the token that loads, unloads and reloads need (Authorization: Bearer TOKEN); without one they are off.",
        HelpName = "FILE",
    }.LocalOnly();

    /// <inheritdoc/>
    public override string Name => "serve";

    /// <inheritdoc/>
    protected override string Description => "Loads models and keeps them in memory until it is asked to stop; shows and controls them over HTTP, with health, metrics and a page.";

    /// <inheritdoc/>
    public override string Example => "serve models/llama --urls http://127.0.0.1:5070";

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        _dtype.AcceptOnlyFromAmong([DTypeOption.Keep, .. Codecs.Targets.Select(DTypeOption.NameOf)]);
        command.Add(_paths);
        command.Add(_urls);
        command.Add(_configuration);
        command.Add(_device);
        command.Add(_dtype);
        command.Add(_watch);
        command.Add(_tokenFile);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var options = new ModelServerOptions
        {
            ConfigurationFile = parsed.GetValue(_configuration),
            Urls = parsed.GetValue(_urls),
            Device = parsed.GetValue(_device),
            DType = parsed.GetValue(_dtype),
            Watch = parsed.GetValue(_watch) ? true : null,
            TokenFile = parsed.GetValue(_tokenFile),
            LogLevel = console.Quiet ? LogLevel.Warning : console.Verbose ? LogLevel.Debug : null,
        };
        foreach (var path in parsed.GetValue(_paths)!)
        {
            options.Paths.Add(path);
        }

        var server = ModelServer.Create(options);
        await using (server.ConfigureAwait(false))
        {
            try
            {
                await server.StartAsync(cancellationToken).ConfigureAwait(false);
                Announce(console, server);
                await console.Out.FlushAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                // Asked to stop while it started: what has started is stopped below.
            }

            await server.WaitAsync(cancellationToken).ConfigureAwait(false);
            return ExitCodes.Success;
        }
    }

    private static void Announce(CommandConsole console, ModelServer server)
    {
        var models = server.Models.Models;
        if (console.Json)
        {
            var served = models.Select(model => new ServedModel(model.Name, model.Status.Path, model.Status.Device));
            JsonOutput.Write(console.Out, new ServeDocument(server.Addresses, [.. served], Environment.ProcessId), CliJsonContext.Default.ServeDocument);
            return;
        }

        console.Out.WriteLine($"serving {models.Count} model{(models.Count == 1 ? "" : "s")} on {Quoted.Plain(string.Join(", ", server.Addresses))}");
    }
}
