using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <content><c>inspect --model</c>: parameters, their sources, what is missing.</content>
internal sealed partial class InspectCommand
{
    private async Task<int> InspectModelAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        if (parsed.GetValue(_tree) || parsed.GetValue(_statistics) || parsed.GetValue(_full))
        {
            throw new UsageException("--tree, --stats and --full show a checkpoint's tensors, --model shows a model's parameters; ask for one of them.");
        }

        var path = parsed.GetValue(_path)!;
        var options = _checkpoint.Options(parsed);
        var model = await _model
            .OpenAsync(parsed, console, path, weights => Checkpoint.OpenAsync(weights, options, cancellationToken), options, null, cancellationToken)
            .ConfigureAwait(false);
        await using (model.ConfigureAwait(false))
        {
            WriteWarnings(console, model.Checkpoint.Warnings);
            var choice = _checkpoint.Choice(parsed);
            var load = new LoadOptions { Include = choice.Include, Exclude = choice.Exclude };
            // What is missing is what is asked for here: it is shown, and ends the command with 5 none the less.
            var plan = new ModuleLoader().Plan(
                model.Module, model.Checkpoint, await _model.OptionsAsync(parsed, load, model, neverStrict: true, cancellationToken).ConfigureAwait(false), cancellationToken);
            var report = new ModelReport(model, plan);
            if (console.Json)
            {
                JsonOutput.Write(console.Out, report.ToDocument(AddressScheme.WithoutSecrets(path)), CliJsonContext.Default.ModelDocument);
            }
            else
            {
                report.WriteTo(console.Out, AddressScheme.WithoutSecrets(path));
            }

            return _model.IsTolerant(parsed) || (plan.Missing.IsEmpty && plan.Unexpected.IsEmpty) ? ExitCodes.Success : ExitCodes.CannotDo;
        }
    }
}
