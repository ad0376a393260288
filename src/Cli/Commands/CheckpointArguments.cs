using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>What every command that opens a checkpoint takes.</summary>
/// <param name="access">How the Hub and ModelScope are read: what only looks at headers downloads nothing.</param>
internal sealed class CheckpointArguments(RemoteAccess access = RemoteAccess.Stream)
{
    private readonly Option<string?> _variant = new("--variant")
    {
        Description = "Open another variant of the weights, such as fp16 for model.fp16.safetensors.",
        HelpName = "NAME",
    };

    private readonly Option<string?> _index = new("--index")
    {
        Description = "The index file to use where a folder has several.",
        HelpName = "NAME",
    };

    private readonly Option<bool> _lenient = new("--lenient")
    {
        Description = "Accept GGUF files whose tensors are out of order or have holes between them.",
    };

    private readonly Option<string?> _root = new("--root")
    {
        Description = "Only the tensors below this key, such as state_dict of a training checkpoint; their names lose it.",
        HelpName = "KEY",
    };

    private readonly Option<bool> _allowUnknownGlobals = new("--allow-unknown-globals")
    {
        Description = "Read PyTorch files that name foreign classes, as inert records; nothing is ever executed.",
    };

    private readonly Option<string[]> _include = new("--include")
    {
        Description = "Only tensors whose name matches, with * and ?. May be given several times.",
        HelpName = "GLOB",
    };

    private readonly Option<string[]> _exclude = new("--exclude")
    {
        Description = "Not the tensors whose name matches, with * and ?. May be given several times.",
        HelpName = "GLOB",
    };

    /// <summary>What finds addresses.</summary>
    public RemoteArguments Remote { get; } = new(access);

    /// <summary>Adds the options that decide how a checkpoint is opened.</summary>
    public void AddTo(Command command)
    {
        Remote.AddTo(command);
        command.Add(_variant);
        command.Add(_index);
        command.Add(_root);
        command.Add(_lenient);
        command.Add(_allowUnknownGlobals);
    }

    /// <summary>Adds the options that choose tensors.</summary>
    public void AddChoiceTo(Command command)
    {
        command.Add(_include);
        command.Add(_exclude);
    }

    /// <summary>How to open the checkpoint.</summary>
    public CheckpointOptions Options(ParseResult parsed) =>
        new()
        {
            Variant = parsed.GetValue(_variant),
            Index = parsed.GetValue(_index),
            Root = parsed.GetValue(_root),
            Gguf = new GgufLimits { Lenient = parsed.GetValue(_lenient) },
            Torch = new TorchLimits { AllowUnknownGlobals = parsed.GetValue(_allowUnknownGlobals) },
            Remote = Remote.Take(parsed),
        };

    /// <summary>The tensors that are meant.</summary>
    public TensorChoice Choice(ParseResult parsed) =>
        new([.. parsed.GetValue(_include) ?? []], [.. parsed.GetValue(_exclude) ?? []]);

    /// <summary>Warns where a checkpoint has tensors and none was chosen: that is a slip more often than a wish.</summary>
    public void WarnIfNothingChosen(CommandConsole console, int chosen, int available)
    {
        if (chosen == 0 && available > 0)
        {
            var none = available == 1 ? "the only tensor is not" : $"none of the {Sizes.Count(available)} tensors is";
            console.Warn($"{none} chosen by {_include.Name} and {_exclude.Name}.");
        }
    }
}
