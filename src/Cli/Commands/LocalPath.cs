using System.CommandLine;
using System.CommandLine.Parsing;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Cli.Commands;

/// <summary>What is written, and small files that say how to work, are local: an address there would name a folder such as <c>hf:</c> below the current one.</summary>
internal static class LocalPath
{
    /// <summary>Has an argument refuse addresses.</summary>
    public static Argument<T> LocalOnly<T>(this Argument<T> argument)
    {
        argument.Validators.Add(Check);
        return argument;
    }

    /// <summary>Has an option refuse addresses.</summary>
    public static Option<T> LocalOnly<T>(this Option<T> option)
    {
        option.Validators.Add(Check);
        return option;
    }

    private static void Check(SymbolResult result)
    {
        var name = result switch { ArgumentResult argument => argument.Argument.Name, OptionResult option => option.Option.Name, _ => "" };
        foreach (var value in result.Tokens.Select(token => token.Value).Where(value => AddressScheme.Of(value) is not null))
        {
            result.AddError($"{name} takes a local path, and {Quoted.Name(value)} is an address: nothing is written there, or read from there for this.");
        }
    }
}
