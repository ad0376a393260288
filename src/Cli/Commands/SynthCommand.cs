using System.CommandLine;
using System.Diagnostics;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Writes a made-up checkpoint to try, test and measure with.</summary>
internal sealed class SynthCommand : CommandBase
{
    private readonly Argument<string> _family = new("FAMILY")
    {
        Description = "The model family whose names and shapes are used: llama.",
        HelpName = "FAMILY",
    };

    private readonly Argument<string> _output = new Argument<string>("OUT") { Description = "The folder to write; it appears whole or not at all." }.LocalOnly();
    private readonly Option<int> _layers = Number("--layers", "Decoder layers.", new LlamaOptions().Layers);
    private readonly Option<int> _hidden = Number("--hidden", "The width of the residual stream.", new LlamaOptions().Hidden);
    private readonly Option<int?> _intermediate = new("--intermediate")
    {
        Description = "The width of the feed-forward layer; by default Llama's rule, 8/3 of hidden rounded up to a multiple of 16.",
        HelpName = "N",
    };

    private readonly Option<int> _heads = Number("--heads", "Attention heads.", new LlamaOptions().Heads);
    private readonly Option<int> _keyValueHeads = Number("--kv-heads", "Key and value heads.", new LlamaOptions().KeyValueHeads);
    private readonly Option<int> _vocabulary = Number("--vocab", "Tokens.", new LlamaOptions().Vocabulary);
    private readonly Option<int> _shards = Number("--shards", "Files.", new LlamaOptions().Shards);
    private readonly Option<ulong> _seed = new("--seed")
    {
        Description = "The same seed and sizes give the same bytes.",
        HelpName = "N",
        DefaultValueFactory = _ => new LlamaOptions().Seed,
    };

    private readonly Option<string> _dtype = new("--dtype")
    {
        Description = "The dtype of the tensors.",
        HelpName = "bf16|f16|f32|f64",
        DefaultValueFactory = _ => "bf16",
    };

    private readonly Option<bool> _tied = new("--tied") { Description = "Leave out lm_head, as models with tied embeddings do." };
    private readonly Option<bool> _force = new("--force") { Description = "Replace the folder if it exists; only where it has nothing but a checkpoint in it." };

    /// <inheritdoc/>
    public override string Name => "synth";

    /// <inheritdoc/>
    protected override string Description =>
        "Writes a checkpoint with the tensor names and shapes of a model and reproducible pseudo-random values, of any size in bounded memory.";

    /// <inheritdoc/>
    public override string Example => "synth llama /tmp/llama --layers 8 --hidden 2048 --heads 16 --kv-heads 8 --vocab 32000 --shards 4";

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        _family.AcceptOnlyFromAmong("llama");
        _dtype.AcceptOnlyFromAmong("bf16", "f16", "f32", "f64");
        foreach (var argument in new Argument[] { _family, _output })
        {
            command.Add(argument);
        }

        foreach (var option in new Option[]
        {
            _layers, _hidden, _intermediate, _heads, _keyValueHeads, _vocabulary, _shards, _dtype, _seed, _tied, _force,
        })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var output = parsed.GetValue(_output)!;
        var options = Options(parsed);
        if (parsed.GetValue(_force))
        {
            await OutputFolder.ThrowIfOthersWouldGoAsync(output, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            OutputFolder.ThrowIfNotEmpty(output);
        }

        var started = Stopwatch.GetTimestamp();
        var (bytes, tensors) = await ProgressDisplay.RunAsync(
            console,
            "writing",
            async progress =>
            {
                var total = await LlamaSynthesizer
                    .WriteAsync(output, options, parsed.GetValue(_force), progress, cancellationToken).ConfigureAwait(false);
                return (total, LlamaSynthesizer.CountTensors(options));
            }).ConfigureAwait(false);
        var elapsed = Stopwatch.GetElapsedTime(started);
        if (console.Json)
        {
            JsonOutput.Write(
                console.Out, new SynthDocument(output, tensors, bytes, elapsed.TotalSeconds), CliJsonContext.Default.SynthDocument);
        }
        else
        {
            await console.Out.WriteLineAsync(
                $"{Quoted.Plain(output)}: {Sizes.Count(tensors, "tensor")}, {Sizes.Format(bytes)}, {Sizes.Count(options.Shards, "file")}, "
                + $"{elapsed.TotalSeconds:0.0} s").ConfigureAwait(false);
        }

        return ExitCodes.Success;
    }

    private static Option<int> Number(string name, string description, int value) =>
        new(name) { Description = description, HelpName = "N", DefaultValueFactory = _ => value };

    private LlamaOptions Options(ParseResult parsed)
    {
        _ = DType.TryFromName(parsed.GetValue(_dtype)!.ToUpperInvariant(), out var dtype);
        var options = new LlamaOptions
        {
            Layers = parsed.GetValue(_layers),
            Hidden = parsed.GetValue(_hidden),
            Intermediate = parsed.GetValue(_intermediate),
            Heads = parsed.GetValue(_heads),
            KeyValueHeads = parsed.GetValue(_keyValueHeads),
            Vocabulary = parsed.GetValue(_vocabulary),
            Shards = parsed.GetValue(_shards),
            DType = dtype,
            Seed = parsed.GetValue(_seed),
            TieEmbeddings = parsed.GetValue(_tied),
        };
        try
        {
            options.Validate();
            return options;
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }
        catch (OverflowException exception)
        {
            throw new UsageException("The sizes are too large for any checkpoint.", exception);
        }
    }
}
