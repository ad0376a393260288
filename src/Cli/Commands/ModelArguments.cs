using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>What every command takes that works with tensor-parallel ranks and with the layout of a model.</summary>
internal sealed class ModelArguments
{
    private readonly bool _asksLauncher;
    private readonly bool _isAlways;
    private readonly Option<int?> _worldSize;
    private readonly Option<int?> _rank;

    private readonly Option<bool> _model = new("--model")
    {
        Description = "Lay the weights out as the model's architecture wants them: query, key and value packed, gate and up packed, vocabulary padded, experts together.",
    };

    private readonly Option<string> _implementation = new("--model-impl")
    {
        Description = "Which layout --model takes: native for the architecture's own, generic for the checkpoint's tensors as they are, auto for native where there is one.",
        HelpName = "IMPL",
        DefaultValueFactory = _ => "auto",
    };

    private readonly Option<string?> _map = new Option<string?>("--map")
    {
        Description = "A file of rules that change names: {\"substring\": {...}, \"prefix\": {...}, \"suffix\": {...}}, or of a GGUF checkpoint a map of its names.",
        HelpName = "FILE",
    }.LocalOnly();

    private readonly Option<string?> _weights = new("--weights")
    {
        Description = "Where the weights are, for --model, if not at PATH; PATH then has the configuration.",
        HelpName = "PATH",
    };

    private readonly Option<bool> _strict = new("--strict")
    {
        Description = "With --model, end with 5 where a parameter is not filled or a tensor goes nowhere (the default).",
    };

    private readonly Option<bool> _tolerant = new("--tolerant")
    {
        Description = "With --model, only warn where a parameter is not filled (it is 0 then) or a tensor goes nowhere.",
    };

    /// <summary>Makes the options.</summary>
    /// <param name="worldSize">What <c>--tp</c> does in this command.</param>
    /// <param name="asksLauncher">Whether the rank is the launcher's where <c>--rank</c> does not name it; else it is 0.</param>
    /// <param name="isAlways">Whether the command always lays out a model, so that there is no option that asks for it.</param>
    public ModelArguments(string worldSize, bool asksLauncher, bool isAlways = false)
    {
        (_asksLauncher, _isAlways) = (asksLauncher, isAlways);
        if (isAlways)
        {
            _implementation.Description = "Which layout the model gets: native for the architecture's own, generic for the checkpoint's tensors as they are, auto for native where there is one.";
            _weights.Description = "Where the weights are if not at PATH; PATH then has the configuration.";
            _strict.Description = "End with 5 where a parameter is not filled or a tensor goes nowhere (the default).";
            _tolerant.Description = "Only warn where a parameter is not filled (it is 0 then) or a tensor goes nowhere.";
        }

        _worldSize = new Option<int?>("--tp") { Description = worldSize, HelpName = "N" };
        _rank = new Option<int?>("--rank")
        {
            Description = isAlways
                ? "The tensor-parallel rank alone, from 0; with --tp. By default all of them."
                : "The tensor-parallel rank, from 0; with --tp. " + (asksLauncher ? "Where it is left out, what torchrun, SLURM, Open MPI or Kubernetes say." : "By default 0."),
            HelpName = "R",
        };
        _implementation.AcceptOnlyFromAmong([.. Enum.GetNames<ModelImplementation>().Select(name => name.ToLowerInvariant())]);
    }

    /// <summary>Adds the options.</summary>
    public void AddTo(Command command)
    {
        command.Add(_worldSize);
        command.Add(_rank);
        if (!_isAlways)
        {
            command.Add(_model);
        }

        command.Add(_implementation);
        command.Add(_map);
        command.Add(_weights);
        command.Add(_strict);
        command.Add(_tolerant);
    }

    /// <summary>Whether the layout of a model is asked for.</summary>
    public bool IsAsked(ParseResult parsed) => _isAlways || parsed.GetValue(_model);

    /// <summary>Whether what is missing or left over is only a warning.</summary>
    public bool IsTolerant(ParseResult parsed) => parsed.GetValue(_tolerant);

    /// <summary>Whether the rank was named.</summary>
    public bool NamesRank(ParseResult parsed) => parsed.GetValue(_rank) is not null;

    /// <summary>The rank as it was typed; null where it was not.</summary>
    public int? Rank(ParseResult parsed) => parsed.GetValue(_rank);

    /// <summary>Which layout the model gets.</summary>
    public ModelImplementation Implementation(ParseResult parsed) => Enum.Parse<ModelImplementation>(parsed.GetValue(_implementation)!, ignoreCase: true);

    /// <summary>The file of names; null for none.</summary>
    public string? Map(ParseResult parsed) => parsed.GetValue(_map);

    /// <summary>The number of ranks; null where they were not asked for.</summary>
    public int? WorldSize(ParseResult parsed) => parsed.GetValue(_worldSize);

    /// <summary>The name of the option that has the number of ranks.</summary>
    public string WorldSizeName => _worldSize.Name;

    /// <summary>Checks that options which only mean something with others have these.</summary>
    /// <param name="parsed">What was typed.</param>
    /// <param name="mapsTensors">Whether a map of names means something without the layout of a model.</param>
    /// <param name="knowsWorld">Whether what is loaded says the number of ranks itself.</param>
    /// <exception cref="UsageException">One has not.</exception>
    public void Check(ParseResult parsed, bool mapsTensors = false, bool knowsWorld = false)
    {
        if (!knowsWorld && parsed.GetValue(_rank) is not null && parsed.GetValue(_worldSize) is null)
        {
            throw new UsageException($"{_rank.Name} needs {_worldSize.Name}, the number of ranks.");
        }

        if (parsed.GetValue(_strict) && parsed.GetValue(_tolerant))
        {
            throw new UsageException($"{_strict.Name} and {_tolerant.Name} exclude each other.");
        }

        if (IsAsked(parsed))
        {
            return;
        }

        foreach (var (name, isGiven) in (ReadOnlySpan<(string, bool)>)
            [
                (_weights.Name, parsed.GetValue(_weights) is not null),
                (_map.Name, !mapsTensors && parsed.GetValue(_map) is not null),
                (_strict.Name, parsed.GetValue(_strict)),
                (_tolerant.Name, parsed.GetValue(_tolerant)),
                (_implementation.Name, parsed.GetResult(_implementation) is { Implicit: false }),
            ])
        {
            if (isGiven)
            {
                throw new UsageException($"{name} is for the layout of a model: give {_model.Name} too.");
            }
        }
    }

    /// <summary>The rank to work for; null where ranks were not asked for.</summary>
    /// <exception cref="UsageException">There is no such rank, or none is named.</exception>
    public TensorParallel? Parallel(ParseResult parsed)
    {
        if (parsed.GetValue(_worldSize) is not { } worldSize)
        {
            return null;
        }

        if (worldSize < 1)
        {
            throw new UsageException($"{_worldSize.Name} takes a number of ranks from 1, not {worldSize}.");
        }

        if (parsed.GetValue(_rank) is { } rank)
        {
            return rank >= 0 && rank < worldSize
                ? new TensorParallel(worldSize, rank)
                : throw new UsageException($"the ranks of {_worldSize.Name} {worldSize} are 0 to {worldSize - 1}; there is no rank {rank}.");
        }

        if (worldSize == 1 || !_asksLauncher)
        {
            return new TensorParallel(worldSize, 0);
        }

        try
        {
            return RankInfo.From(new RankInfoOptions { WorldSize = worldSize }).TensorParallel;
        }
        catch (ArgumentException exception)
        {
            throw new UsageException($"{_worldSize.Name} {worldSize} needs {_rank.Name}: {UsageException.From(exception).Message}");
        }
    }

    /// <summary>Opens configuration and weights, and lays the model out.</summary>
    /// <param name="parsed">What was typed.</param>
    /// <param name="console">Where warnings go.</param>
    /// <param name="path">The model's path.</param>
    /// <param name="open">Opens a checkpoint.</param>
    /// <param name="options">How checkpoints are opened.</param>
    /// <param name="dtype">The dtype that the model computes with; null for what its configuration says.</param>
    /// <param name="cancellationToken">Cancels the opening.</param>
    /// <param name="parallel">The rank; null for the one that was typed.</param>
    /// <returns>The model without weights, which the caller disposes.</returns>
    public async Task<OpenedModel> OpenAsync(
        ParseResult parsed,
        CommandConsole console,
        string path,
        Func<string, Task<Checkpoint>> open,
        CheckpointOptions options,
        DType? dtype,
        CancellationToken cancellationToken,
        TensorParallel? parallel = null)
    {
        var weights = parsed.GetValue(_weights);
        var checkpoint = await open(weights ?? path).ConfigureAwait(false);
        try
        {
            var config = weights is not null ? await ModelConfig.OpenAsync(path, options, cancellationToken).ConfigureAwait(false)
                : checkpoint.Config ?? GgufConfiguration.Of(checkpoint);
            var log = new ConsoleLog(console);
            var context = new ModelContext
            {
                Config = config,
                Parallel = parallel ?? Parallel(parsed) ?? new TensorParallel(1, 0),
                Implementation = Implementation(parsed),
                Checkpoint = checkpoint,
                Warnings = new WarningLog(log),
            };
            context = context.WithDType(dtype).WithQuantization();
            return new OpenedModel(checkpoint, context, ModelInitializer.Initialize(context));
        }
        catch
        {
            await checkpoint.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Makes the plan; what the planner refuses among the options is what the user typed.</summary>
    /// <exception cref="UsageException">An option is out of range.</exception>
    public static ModulePlan MakePlan(OpenedModel model, ModuleLoadOptions options, CancellationToken cancellationToken)
    {
        try
        {
            return new ModuleLoader().Plan(model.Module, model.Checkpoint, options, cancellationToken);
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }
    }

    /// <summary>Warns where ranks are asked for and no name is one that is split: that is a slip more often than a wish.</summary>
    public void WarnIfNothingIsSplit(CommandConsole console, LoadPlan plan) =>
        WarnIfNothingIsSplit(console, plan.Options.TensorParallel, plan.SlicedCount, plan.Tensors.Length, "loads");

    /// <summary>Warns where ranks are asked for and no name is one that is split.</summary>
    /// <param name="console">Where the warning goes.</param>
    /// <param name="parallel">What is asked for; null for no ranks.</param>
    /// <param name="sliced">How many tensors are split.</param>
    /// <param name="tensors">How many there are.</param>
    /// <param name="verb">What a rank does with its share.</param>
    public void WarnIfNothingIsSplit(CommandConsole console, TensorParallel? parallel, int sliced, int tensors, string verb)
    {
        if (parallel?.WorldSize > 1 && sliced == 0 && tensors > 0)
        {
            console.Warn(tensors == 1
                ? $"the only tensor has no name that {_worldSize.Name} splits: every rank {verb} all of it."
                : $"none of the {Sizes.Count(tensors)} tensors has a name that {_worldSize.Name} splits: every rank {verb} all of them.");
        }
    }

    /// <summary>How a model is loaded.</summary>
    /// <param name="parsed">What was typed.</param>
    /// <param name="load">Where to, and how files are read.</param>
    /// <param name="model">The opened model.</param>
    /// <param name="neverStrict">Whether what is missing or left over is only reported.</param>
    /// <param name="cancellationToken">Cancels the reading of a map.</param>
    public async Task<ModuleLoadOptions> OptionsAsync(
        ParseResult parsed, LoadOptions load, OpenedModel model, bool neverStrict, CancellationToken cancellationToken)
    {
        var options = new ModuleLoadOptions
        {
            Load = load with { DType = null, TensorParallel = null },
            IsStrict = !neverStrict && !parsed.GetValue(_tolerant),
            Warnings = neverStrict ? null : model.Context.Warnings,
        };
        if (parsed.GetValue(_map) is not { } file)
        {
            return options;
        }

        // A layout of a file's own names has no use for those of transformers.
        return model.Checkpoint.Files[0].Header is GgufHeader && !model.Module.TakesStoredNames
            ? options with { GgufNames = await GgufNameMap.ReadAsync(file, cancellationToken: cancellationToken).ConfigureAwait(false) }
            : options with { Rename = (await WeightNameMapper.ReadAsync(file, cancellationToken: cancellationToken).ConfigureAwait(false)).Map };
    }
}
