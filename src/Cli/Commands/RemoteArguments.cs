using System.Collections.Concurrent;
using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>What every command that takes addresses beside paths takes, and what it has fetched. Connections are made by the first address, and ended with the command.</summary>
/// <param name="access">How the Hub and ModelScope are read where the command has no <c>--stream</c>.</param>
internal sealed class RemoteArguments(RemoteAccess access) : IRemoteCheckpoints, IDisposable
{
    private readonly Option<int?> _connections = new("--connections")
    {
        Description = $"How many ranges of remote files are fetched at the same time; by default {RemoteOptions.DefaultConnections}.",
        HelpName = "N",
    };

    private readonly Option<int?> _retries = new("--retries")
    {
        Description = $"How often a request is tried again on 408, 429, 5xx and cut connections; by default {RemoteOptions.DefaultRetries}.",
        HelpName = "N",
    };

    private readonly Option<bool> _offline = new("--offline")
    {
        Description = "Ask no server: remote checkpoints come from the cache, or not at all (HF_HUB_OFFLINE=1).",
    };

    private readonly Option<bool> _stream = new("--stream")
    {
        Description = "Read hf:// and ms:// from the network straight into place, without a copy in the cache. What http(s):// and s3:// name is always read so.",
    };

    private readonly Option<bool> _anonymous = new("--anonymous")
    {
        Description = "Send no token, and sign no request: what is public needs neither.",
    };

    private readonly LastProgress _progress = new();

    private readonly List<RemoteTraffic> _traffic = [];

    // A command that opens an address several times means one and the same commit.
    private readonly ConcurrentDictionary<string, CheckpointLocation> _located = new(StringComparer.Ordinal);
    private Lazy<RemoteOptions> _options = new(() => RemoteOptions.FromEnvironment());
    private CommandConsole? _console;
    private RemoteCheckpoints? _checkpoints;

    /// <summary>How remote checkpoints are reached, once the command line is taken.</summary>
    /// <exception cref="UsageException">The environment has a value that cannot be.</exception>
    public RemoteOptions Options
    {
        get
        {
            try
            {
                return _options.Value;
            }
            catch (ArgumentException exception)
            {
                throw UsageException.From(exception);
            }
        }
    }

    /// <summary>What was fetched; null where nobody was asked.</summary>
    public FetchedTotals? Fetched => _traffic.Sum(traffic => traffic.Requests) is > 0 and var requests ? new FetchedTotals(_traffic.Sum(traffic => traffic.Bytes), requests) : null;

    /// <summary>Says where warnings and progress go.</summary>
    public void Begin(CommandConsole console) => _console = console;

    /// <summary>Counts what somebody else fetches for the command, too.</summary>
    public void Count(RemoteTraffic traffic) => _traffic.Add(traffic);

    /// <summary>Adds the options.</summary>
    public void AddTo(Command command)
    {
        command.Add(_connections);
        command.Add(_retries);
        command.Add(_offline);
        command.Add(_anonymous);
    }

    /// <summary>Adds the choice between the cache and the network.</summary>
    public void AddStreamTo(Command command) => command.Add(_stream);

    /// <summary>Takes what was typed.</summary>
    /// <returns>What finds addresses.</returns>
    /// <exception cref="UsageException">A value is out of range.</exception>
    public IRemoteCheckpoints Take(ParseResult parsed)
    {
        var connections = Check(_connections, parsed, 1, RemoteOptions.MaximumConnections);
        var retries = Check(_retries, parsed, 0, RemoteOptions.MostRetries) ?? RemoteOptions.DefaultRetries;
        var (isAnonymous, isOffline, streams) = (parsed.GetValue(_anonymous), parsed.GetValue(_offline), parsed.GetValue(_stream));
        // Not before an address is there: what the environment says of servers is no business of a local file's.
        _options = new Lazy<RemoteOptions>(() =>
        {
            var options = RemoteOptions.FromEnvironment();
            options = isAnonymous
                ? options with
                {
                    Hub = options.Hub with { Token = null },
                    ModelScope = options.ModelScope with { Token = null },
                    S3 = S3Settings.FromEnvironment() with { IsAnonymous = true },
                }
                : options;
            return options with
            {
                Connections = connections ?? options.Connections,
                MaximumRetries = retries,
                Access = streams ? RemoteAccess.Stream : access,
                Offline = options.Offline || isOffline,
                Progress = _progress,
                AroundDownloads = ShowAsync,
                Logger = _console is { } console ? new ConsoleLog(console) : null,
            };
        });
        return this;
    }

    /// <inheritdoc/>
    public async ValueTask<CheckpointLocation> LocateAsync(string address, CancellationToken cancellationToken = default)
    {
        if (_located.TryGetValue(address, out var known))
        {
            return known;
        }

        var options = Options;
        try
        {
            // Before anybody is asked: what was typed is no answer of a server's.
            RemoteCheckpoints.ThrowIfNoAddress(address);
            if (_checkpoints is null)
            {
                // What the environment says of a server may be no address.
                _checkpoints = RemoteCheckpoints.Create(options);
                Count(_checkpoints.Traffic);
            }

            var location = await _checkpoints.LocateAsync(address, cancellationToken).ConfigureAwait(false);
            return _located.GetOrAdd(address, location);
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }
    }

    /// <summary>The local folder that a path is, or is in; null of an address.</summary>
    public static string? FolderOf(string path) =>
        AddressScheme.Of(path) is not null ? null
        : Directory.Exists(path) ? path
        : Path.GetDirectoryName(Path.GetFullPath(path));

    /// <summary>The remote place that an address means; null of a path.</summary>
    public async ValueTask<ICheckpointPlace?> PlaceOfAsync(string path, CancellationToken cancellationToken) =>
        AddressScheme.Of(path) is null ? null : (await LocateAsync(path, cancellationToken).ConfigureAwait(false)).Place;

    /// <summary>What a load without <c>--stream</c> would bring into a cache first.</summary>
    /// <param name="checkpoint">The checkpoint, as it was found at its address.</param>
    /// <returns>Null of local files, of what the cache has already, and of what is always streamed.</returns>
    public PlannedDownload? Plan(Checkpoint checkpoint)
    {
        var cache = AddressScheme.Of(checkpoint.Path) switch
        {
            "hf" => Options.Hub.CacheFolder,
            "ms" => Options.ModelScope.CacheFolder,
            _ => null,
        };
        // What the cache has already is opened there.
        var missing = checkpoint.Files.Where(file => file.Source.FindRemote() is not null).ToArray();
        if (cache is null || missing.Length == 0)
        {
            return null;
        }

        var (bytes, free) = (missing.Sum(file => file.Length), FreeSpace.Of(cache));
        return new PlannedDownload(missing.Length, bytes, cache, free, free is null ? null : bytes <= free);
    }

    /// <summary>Says what was fetched.</summary>
    public void WriteFetched(CommandConsole console)
    {
        if (Fetched is { Bytes: > 0 } fetched && !console.Quiet)
        {
            console.Error.WriteLine($"fetched {Sizes.Format(fetched.Bytes)} ({Sizes.Count(fetched.Bytes)} bytes) in {Sizes.Count(fetched.Requests, "request")}");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _located.Clear();
        _checkpoints?.Dispose();
        _checkpoints = null;
    }

    private async Task ShowAsync(Func<Task> download)
    {
        if (_console is not { } console)
        {
            await download().ConfigureAwait(false);
            return;
        }

        _ = await ProgressDisplay.RunAsync(
            console,
            "downloading",
            async progress =>
            {
                _ = _progress.To(progress);
                try
                {
                    await download().ConfigureAwait(false);
                    return true;
                }
                finally
                {
                    _ = _progress.To(null);
                }
            }).ConfigureAwait(false);
    }

    private static int? Check(Option<int?> option, ParseResult parsed, int least, int most) =>
        parsed.GetValue(option) is not { } value || (value >= least && value <= most)
            ? parsed.GetValue(option)
            : throw new UsageException($"{option.Name} takes a number from {least} to {most}, not {value}.");
}
