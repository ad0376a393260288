using System.CommandLine;
using System.Globalization;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Lists the Hub's cache, holds it against its hashes, and rids it of what nobody means any more.</summary>
internal sealed class CacheCommand : CommandBase
{
    private const string List = "ls";
    private const string Verify = "verify";
    private const string Prune = "prune";

    private readonly Argument<string> _action = new("ACTION")
    {
        Description = $"{List}: repositories, revisions and sizes. {Verify}: read every file and hold it against its hash. {Prune}: remove revisions that no branch or tag means, their files, and what downloads have left that did not end.",
        HelpName = $"{List}|{Verify}|{Prune}",
    };

    private readonly Argument<string[]> _repositories = new("REPOSITORY")
    {
        Description = "With ls and verify, only these: org/name or hf://org/name.",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<string?> _cacheFolder = new Option<string?>("--cache-dir")
    {
        Description = "Another cache than that of the environment (HF_HUB_CACHE, HF_HOME).",
        HelpName = "DIR",
    }.LocalOnly();

    private readonly Option<bool> _dryRun = new("--dry-run")
    {
        Description = "With prune, only say what would go.",
    };

    /// <inheritdoc/>
    public override string Name => "cache";

    /// <inheritdoc/>
    protected override string Description => "Lists the Hub's cache, which huggingface_hub uses as well, checks its files, or removes what nobody means any more. 'verify' ends with 6 where a file is not what its hash says.";

    /// <inheritdoc/>
    public override string Example => "cache prune --dry-run";

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        _action.AcceptOnlyFromAmong(List, Verify, Prune);
        command.Add(_action);
        command.Add(_repositories);
        command.Add(_cacheFolder);
        command.Add(_dryRun);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var action = parsed.GetValue(_action)!;
        if (parsed.GetValue(_dryRun) && action != Prune)
        {
            throw new UsageException($"{_dryRun.Name} is for {Prune}.");
        }

        if (action == Prune && parsed.GetValue(_repositories) is { Length: > 0 })
        {
            throw new UsageException($"{Prune} takes no repository: what nobody means goes, of all of them.");
        }

        var inventory = await ReadAsync(parsed.GetValue(_cacheFolder), cancellationToken).ConfigureAwait(false);
        var chosen = Choose(inventory, parsed.GetValue(_repositories) ?? []);
        return action switch
        {
            List => WriteList(console, inventory, chosen),
            Verify => await VerifyAsync(console, inventory, chosen, cancellationToken).ConfigureAwait(false),
            _ => await PruneAsync(console, inventory, parsed.GetValue(_dryRun), cancellationToken).ConfigureAwait(false),
        };
    }

    private static async Task<HubCacheInventory> ReadAsync(string? folder, CancellationToken cancellationToken)
    {
        try
        {
            return await HubCacheInventory.ReadAsync(folder, cancellationToken).ConfigureAwait(false);
        }
        catch (ArgumentException exception)
        {
            // A variable of the environment.
            throw UsageException.From(exception);
        }
    }

    private static HubCachedRepository[] Choose(HubCacheInventory inventory, string[] names)
    {
        try
        {
            HubRepository[] asked = [.. names.Select(name => HubAddress.Parse(name).Repository)];
            return asked.FirstOrDefault(repository => inventory.Repositories.All(cached => cached.Repository != repository)) is { } missing
                ? throw new FileNotFoundException($"{inventory.Folder}: {missing} is not in the cache.", inventory.Folder)
                : [.. inventory.Repositories.Where(cached => asked.Length == 0 || asked.Contains(cached.Repository))];
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }
    }

    private static int WriteList(CommandConsole console, HubCacheInventory inventory, HubCachedRepository[] chosen)
    {
        WriteProblems(console, inventory.Problems);
        if (console.Json)
        {
            var repositories = chosen.Select(cached => new CachedRepository(
                cached.Repository.ToString(),
                cached.Folder,
                cached.Bytes,
                cached.LastUsed,
                [.. cached.Revisions.Select(revision => new CachedRevision(revision.Commit, revision.Refs, revision.Files.Count, revision.Bytes))]));
            JsonOutput.Write(console.Out, new CacheDocument(inventory.Folder, inventory.Bytes, [.. repositories]), CliJsonContext.Default.CacheDocument);
            return ExitCodes.Success;
        }

        var table = new TextTable("llrrl");
        foreach (var cached in chosen)
        {
            foreach (var revision in cached.Revisions.DefaultIfEmpty())
            {
                table.Add(
                    Quoted.Plain(cached.Repository.ToString()),
                    revision is null ? "no revision" : Quoted.Plain(revision.Refs.Count > 0 ? string.Join(", ", revision.Refs) : revision.Commit),
                    Sizes.Format(revision?.Bytes ?? cached.Bytes),
                    Sizes.Count(revision?.Files.Count ?? 0, "file"),
                    cached.LastUsed is { } used ? used.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture) : "");
            }
        }

        table.WriteTo(console.Out);
        console.Out.WriteLine($"{Quoted.Plain(inventory.Folder)}: {Sizes.Count(chosen.Length)} {(chosen.Length == 1 ? "repository" : "repositories")}, {Sizes.Format(chosen.Sum(cached => cached.Bytes))}");
        return ExitCodes.Success;
    }

    private static async Task<int> VerifyAsync(CommandConsole console, HubCacheInventory inventory, HubCachedRepository[] chosen, CancellationToken cancellationToken)
    {
        HubRepository[] repositories = [.. chosen.Select(cached => cached.Repository)];
        var result = await ProgressDisplay.RunAsync(
            console, "verifying", progress => inventory.VerifyAsync(repositories, new LastProgress().To(progress), cancellationToken)).ConfigureAwait(false);
        if (console.Json)
        {
            var problems = result.Problems.Select(problem => new CacheProblem(problem.Path, problem.Problem));
            JsonOutput.Write(
                console.Out, new CacheVerifyDocument(inventory.Folder, result.CheckedBlobs, result.CheckedBytes, result.UncheckedFiles, [.. problems]), CliJsonContext.Default.CacheVerifyDocument);
        }
        else
        {
            foreach (var problem in result.Problems)
            {
                console.Out.WriteLine($"different {Quoted.Plain(problem.Path)}: {Quoted.Plain(problem.Problem)}");
            }

            var rest = result.UncheckedFiles == 0 ? "" : $", {Sizes.Count(result.UncheckedFiles, "file")} without a hash";
            console.Out.WriteLine($"{Sizes.Count(result.CheckedBlobs, "file")}, {Sizes.Format(result.CheckedBytes)} held against their hashes{rest}: {Sizes.Count(result.Problems.Count, "problem")}");
        }

        return result.Problems.Count == 0 ? ExitCodes.Success : ExitCodes.Different;
    }

    private static async Task<int> PruneAsync(CommandConsole console, HubCacheInventory inventory, bool dryRun, CancellationToken cancellationToken)
    {
        WriteProblems(console, inventory.Problems);
        var removals = await inventory.PruneAsync(dryRun, cancellationToken).ConfigureAwait(false);
        var bytes = removals.Sum(removal => removal.Bytes);
        if (console.Json)
        {
            var removed = removals.Select(removal => new CacheRemoval(removal.Kind.ToString(), removal.Path, removal.Bytes));
            JsonOutput.Write(console.Out, new CachePruneDocument(inventory.Folder, dryRun, bytes, [.. removed]), CliJsonContext.Default.CachePruneDocument);
            return ExitCodes.Success;
        }

        foreach (var removal in removals)
        {
            console.Out.WriteLine($"{removal.Kind.ToString().ToLowerInvariant()} {Quoted.Plain(removal.Path)} {Sizes.Format(removal.Bytes)}");
        }

        console.Out.WriteLine($"{(dryRun ? "would remove" : "removed")} {Sizes.Format(bytes)} of {Sizes.Format(inventory.Bytes)}");
        return ExitCodes.Success;
    }

    private static void WriteProblems(CommandConsole console, IEnumerable<HubCacheProblem> problems)
    {
        foreach (var problem in problems)
        {
            console.Warn($"{Quoted.Plain(problem.Path)}: {Quoted.Plain(problem.Problem)}");
        }
    }
}
