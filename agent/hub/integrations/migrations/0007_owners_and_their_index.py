import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0006_receipts_in_the_row")]

    operations = [
        migrations.DeleteModel(name="Receipt"),
        migrations.RemoveIndex(model_name="siteintegration", name="integration_listed"),
        migrations.AlterField(
            model_name="siteintegration",
            name="owner",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="siteintegration",
            index=models.Index(
                fields=[
                    "owner", "platform", "last_structure_fetch", "failing_since", "wordpress_version",
                    "post_types", "posts", "taxonomies", "terms",
                ],
                name="integration_of_owner",
            ),
        ),
    ]  # fmt: skip
