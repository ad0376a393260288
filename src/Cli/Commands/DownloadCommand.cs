using System.CommandLine;
using System.Diagnostics;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Downloads repositories into the cache, or into a folder.</summary>
internal sealed class DownloadCommand : CommandBase
{
    private readonly Argument<string> _address = new("ADDRESS")
    {
        Description = "A repository: hf://org/name[@revision] of the Hugging Face Hub or ms://org/name[@revision] of ModelScope; with a path, that file or folder of it.",
    };

    private readonly Option<bool> _weights = new("--weights")
    {
        Description = "The weights alone, once: the files that the safetensors index names, else those of the first format that there is.",
    };

    private readonly Option<string[]> _include = new("--include")
    {
        Description = "Only files whose path matches, with * and ?. May be given several times.",
        HelpName = "GLOB",
    };

    private readonly Option<string[]> _exclude = new("--exclude")
    {
        Description = "Not the files whose path matches, with * and ?. May be given several times.",
        HelpName = "GLOB",
    };

    private readonly Option<string?> _localFolder = new Option<string?>("--local-dir")
    {
        Description = "A folder that gets the files themselves, in place of the cache.",
        HelpName = "DIR",
    }.LocalOnly();

    private readonly Option<string?> _cacheFolder = new Option<string?>("--cache-dir")
    {
        Description = "Another cache than that of the environment (HF_HUB_CACHE, MODELSCOPE_CACHE).",
        HelpName = "DIR",
    }.LocalOnly();

    private readonly Option<bool> _force = new("--force")
    {
        Description = "Fetch everything, also what is there.",
    };

    /// <inheritdoc/>
    public override string Name => "download";

    /// <inheritdoc/>
    protected override string Description =>
        "Downloads a repository, or the part that is asked for, into the cache that huggingface_hub uses as well, and prints the folder. Goes on where an interrupted download was; every file is held against its hash. Where the server cannot be asked it fails, whatever is there; --offline gives what is there.";

    /// <inheritdoc/>
    public override string Example => "download hf://org/name --include '*.safetensors' --include '*.json'";

    /// <inheritdoc/>
    protected override RemoteArguments Remote { get; } = new(RemoteAccess.Cache);

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_address);
        command.Add(_weights);
        command.Add(_include);
        command.Add(_exclude);
        command.Add(_localFolder);
        command.Add(_cacheFolder);
        command.Add(_force);
        Remote.AddTo(command);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        if (parsed.GetValue(_weights) && parsed.GetValue(_include) is { Length: > 0 })
        {
            throw new UsageException($"{_weights.Name} chooses the files itself; give it or {_include.Name}.");
        }

        _ = Remote.Take(parsed);
        var started = Stopwatch.GetTimestamp();
        var last = new LastProgress();
        var folder = await ProgressDisplay.RunAsync(console, "downloading", progress => DownloadAsync(parsed, last.To(progress), cancellationToken)).ConfigureAwait(false);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var done = last.Value;
        if (console.Json)
        {
            JsonOutput.Write(
                console.Out,
                new DownloadDocument(parsed.GetValue(_address)!, folder, done.TotalFiles, done.TotalBytes, done.FetchedBytes, seconds, !Remote.Options.Offline),
                CliJsonContext.Default.DownloadDocument);
            return ExitCodes.Success;
        }

        if (!console.Quiet)
        {
            var speed = Remote.Options.Offline ? "that is what was there; nobody was asked, and whether it is all is not known"
                : done.FetchedBytes == 0 ? "all of it was there"
                : $"{Sizes.Format(done.FetchedBytes)} fetched, {Sizes.Format((long)(done.FetchedBytes / seconds))}/s";
            console.Error.WriteLine($"{Sizes.Count(done.TotalFiles, "file")}, {Sizes.Format(done.TotalBytes)}: {speed}, {seconds:0.0} s");
        }

        // Alone on standard output: $(ilgpu-loader download …) is a path.
        await console.Out.WriteLineAsync(folder).ConfigureAwait(false);
        return ExitCodes.Success;
    }

    private async Task<string> DownloadAsync(ParseResult parsed, IProgress<DownloadProgress> progress, CancellationToken cancellationToken)
    {
        var address = parsed.GetValue(_address)!;
        try
        {
            var scheme = AddressScheme.Of(address);
            if (scheme is null or "hf" or "ms")
            {
                RemoteCheckpoints.ThrowIfNoAddress(scheme is null ? $"hf://{address}" : address);
            }

            return scheme switch
            {
                "ms" => await FromModelScopeAsync(parsed, ModelScopeAddress.Parse(address), progress, cancellationToken).ConfigureAwait(false),
                null or "hf" => await FromHubAsync(parsed, HubAddress.Parse(address), progress, cancellationToken).ConfigureAwait(false),
                var other => throw new UsageException(
                    $"download takes repositories, {HubAddress.Form} and {ModelScopeAddress.Form}, and {other}:// is read where it lies: give the address to the command that is to read it."),
            };
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }
    }

    private async Task<string> FromHubAsync(ParseResult parsed, HubAddress address, IProgress<DownloadProgress> progress, CancellationToken cancellationToken)
    {
        if (parsed.GetValue(_weights) && address.Path.Length > 0)
        {
            throw new UsageException($"{_weights.Name} chooses from the root of a repository, and {address} has a path; give it or the path.");
        }

        var options = OptionsOf(parsed, address.Revision, address.Path);
        using var downloads = new HubDownloads(Remote.Options);
        Remote.Count(downloads.Traffic);
        if (parsed.GetValue(_weights))
        {
            var ignored = options with { IgnorePatterns = options.IgnorePatterns is { Count: > 0 } exclude ? exclude : null };
            return await downloads.DownloadWeightsAsync(address.Repository, HubDownloads.DefaultWeightPatterns, ignored, progress, cancellationToken).ConfigureAwait(false);
        }

        return Below(await downloads.DownloadSnapshotAsync(address.Repository, options, progress, cancellationToken).ConfigureAwait(false), address.Path);
    }

    private async Task<string> FromModelScopeAsync(ParseResult parsed, ModelScopeAddress address, IProgress<DownloadProgress> progress, CancellationToken cancellationToken)
    {
        if (parsed.GetValue(_weights))
        {
            throw new UsageException($"{_weights.Name} follows the rules for the Hub; choose files of ModelScope with {_include.Name}.");
        }

        var options = OptionsOf(parsed, address.Revision, address.Path);
        using var downloads = new ModelScopeDownloads(Remote.Options);
        Remote.Count(downloads.Traffic);
        return Below(await downloads.DownloadSnapshotAsync(address.Model, options, progress, cancellationToken).ConfigureAwait(false), address.Path);
    }

    private HubDownloadOptions OptionsOf(ParseResult parsed, string? revision, string path)
    {
        var include = parsed.GetValue(_include) ?? [];
        if (path.Length > 0 && include.Length > 0)
        {
            throw new UsageException($"an address with a path says what is downloaded; give that or {_include.Name}.");
        }

        return new HubDownloadOptions
        {
            Revision = revision,
            Path = path.Length == 0 ? null : path,
            AllowPatterns = include.Length > 0 ? include : null,
            IgnorePatterns = parsed.GetValue(_exclude),
            LocalFolder = parsed.GetValue(_localFolder),
            CacheFolder = parsed.GetValue(_cacheFolder),
            Force = parsed.GetValue(_force),
            // Whoever asks for a download is not to get what an earlier one has left in its place; --offline says that it will do.
            FallsBackToCache = false,
        };
    }

    private static string Below(string folder, string path) => path.Length == 0 ? folder : Path.Combine([folder, .. path.Split('/')]);
}
